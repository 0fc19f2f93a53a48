"""Pairs that people wrote: a sentence and its milder rewrite, or two answers of which one is liked.

The columns are known by the names that public sets use, and are taken only where these leave no
doubt.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bezoar.corpus.labels import as_texts, repair
from bezoar.corpus.rows import Origin
from bezoar.corpus.spec import Found, find
from bezoar.corpus.table import counted, listed
from bezoar.errors import DataError, did_you_mean
from bezoar.pairs.check import Leaked, clean_pairs
from bezoar.pairs.pairs import Pairs
from bezoar.stats.splits import unit_hash


class Layout(NamedTuple):
    """Columns of a public set of pairs; ``prompt`` is taken where the file has it."""

    chosen: str
    rejected: str
    prompt: str


LAYOUTS = (
    Layout("neutral", "toxic", "prompt"),
    Layout("en_neutral_comment", "en_toxic_comment", "prompt"),  # ParaDetox on the hub
    Layout("chosen", "rejected", "prompt"),  # sets for DPO
    Layout("unpert_gen_text", "pert_gen_text", "prompt_text"),  # Lee et al. 2024
)


def load_pairs(
    spec: str | Path,
    *,
    prompt: str | None = None,
    chosen: str | None = None,
    rejected: str | None = None,
    data_root: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    leaked: Leaked = "raise",
) -> Pairs:
    """Read pairs from a file or the hub, less those that teach nothing (see `clean_pairs`).

    Every row is accounted for: ``len(pairs) + sum(origin.left_out.values()) == origin.rows``.

    Args:
        spec: FILE.csv|tsv|json|jsonl|parquet, or ``hub:ID[:CONFIG][@SPLIT]``.
        prompt: column of prompts; found by name when None, and "" where there is none.
        chosen: column of the less toxic sides; found by name when None (see `LAYOUTS`).
        rejected: column of the more toxic sides, likewise.
        data_root: where relative paths start, and what recorded paths are relative to.
        limit: keep this many pairs, drawn by ``seed`` and the texts, not by their order.
        seed: of the draw.
        leaked: what to do about sides that begin with their prompt.

    Raises:
        DataError: saying what is there and what was looked for.
    """
    if limit is not None and limit < 1:
        raise DataError(f"A limit of {limit} keeps nothing.", hint="Give 1 or more, or none.")
    found = _file(spec, data_root)
    names = _columns(found, prompt, chosen, rejected)
    notes = [*found.table.notes, *found.notes]
    columns: dict[str, tuple[str, ...]] = {}
    for role, name in names.items():
        where = f"{found.table.place}, column {name!r}"
        texts, repaired = repair(as_texts(found.table.column(name), where, found.table.at))
        columns[role] = tuple(texts)
        notes.append(repaired and f"column {name!r}: {repaired}")
    skipped = found.table.skipped
    name, recorded = repair([found.name, found.recorded])[0]
    read = Pairs(
        columns.get("prompt", ("",) * len(columns["chosen"])),
        columns["chosen"],
        columns["rejected"],
        name=name,
        origin=Origin(
            recorded,
            found.table.sha256,
            tuple(filter(None, notes)),
            rows=len(columns["chosen"]) + sum(skipped.values()),
            left_out=dict(skipped),
        ),
        provenance={"how": "read", "columns": names},
    )
    pairs, _ = clean_pairs(read, leaked=leaked)
    return pairs if limit is None or limit >= len(pairs) else _drawn(pairs, limit, seed)


def _file(spec: str | Path, data_root: str | Path | None) -> Found:
    if str(spec) == "demo":
        raise DataError(
            "The demo data has no pairs.", hint="Make some: bezoar pairs demo --out pairs.parquet"
        )
    found = find(spec, data_root)
    if found.adapter:
        raise DataError(
            f"{found.adapter!r} is a known set of texts, and gives no pairs.",
            hint=f"Leave {found.adapter}: out, and name its columns.",
        )
    if found.text is not None:
        raise DataError(
            f"#{found.text} names one column, and pairs have two.",
            hint="Name them: chosen=…, rejected=….",
        )
    return found


def _columns(
    found: Found, prompt: str | None, chosen: str | None, rejected: str | None
) -> dict[str, str]:
    """The column of each role, given or known by its name.

    Raises:
        DataError: if a name is not there, or none or several are known.
    """
    table = found.table
    for name in filter(None, (prompt, chosen, rejected)):
        table.column(name)
    spelt = {name.lower(): name for name in table.columns}
    ways: dict[tuple[str, str], Layout] = {}
    for layout in LAYOUTS:
        one, other = chosen or spelt.get(layout.chosen), rejected or spelt.get(layout.rejected)
        if one and other and one != other:
            ways.setdefault((one, other), layout)
    if chosen and chosen == rejected:
        raise DataError(
            f"Column {chosen!r} was named for both sides.", hint="Name a column for each."
        )
    if len(ways) != 1:
        raise _undecided(found, list(ways))
    ((one, other), layout) = next(iter(ways.items()))
    names = {"chosen": one, "rejected": other}
    before = prompt or (spelt.get(layout.prompt) if not (chosen and rejected) else None)
    if before in names.values():
        raise DataError(f"Column {before!r} is a side and the prompt.", hint="Name another.")
    guessed = [f"{role} column {name!r}" for role, name in names.items()]
    if not (chosen and rejected):
        found.notes.append(f"{' and '.join(guessed)}, found by name")
    return names | ({"prompt": before} if before else {})


def _undecided(found: Found, ways: list[tuple[str, str]]) -> DataError:
    place, columns = found.table.place, found.table.columns
    if ways:
        seen = "; ".join(f"chosen {one!r}, rejected {other!r}" for one, other in ways)
        return DataError(
            f"{place}: {counted(len(ways), 'pair')} of columns could be meant: {seen}.",
            hint="Name them: chosen=…, rejected=….",
        )
    known = "; ".join(f"{layout.chosen} and {layout.rejected}" for layout in LAYOUTS)
    names = {name for layout in LAYOUTS for name in (layout.chosen, layout.rejected)}
    near = [did_you_mean(name, names) for name in columns if name.lower() not in names]
    meant = next((hint for hint in near if hint.startswith("Did")), "")
    return DataError(
        f"{place}: no columns are known to be the two sides: it has {listed(columns)}; known are "
        f"{known}.",
        hint=f"Name them: chosen=…, rejected=…. {meant}".rstrip(),
    )


def _drawn(pairs: Pairs, limit: int, seed: int) -> Pairs:
    """The pairs that hash lowest: the same ones whatever the order of the file."""
    rows = zip(pairs.prompts, pairs.chosen, pairs.rejected, strict=True)
    keys = [unit_hash("\0".join(row), f"limit-{seed}") for row in rows]
    chosen = np.sort(np.argsort(keys, kind="stable")[:limit])
    note = f"{limit} of {len(pairs)} pairs drawn, seed {seed}"
    return pairs.take(chosen, note=note, left_out="beyond the limit")
