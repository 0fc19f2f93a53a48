"""Pairs that people wrote: a sentence and its milder rewrite, or two answers of which one is liked.

The columns are known by the names that public sets use, and are taken only where these leave no
doubt. A file that `Pairs.save` wrote is read as what it is, with scores and provenance.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bezoar.corpus.labels import as_texts, repair
from bezoar.corpus.rows import Origin
from bezoar.corpus.spec import Found, find
from bezoar.corpus.table import counted, listed
from bezoar.errors import DataError, did_you_mean
from bezoar.pairs.check import Leaked, clean_pairs
from bezoar.pairs.pairs import Pairs
from bezoar.stats.splits import unit_hash


class Layout(NamedTuple):
    """Columns of a public set of pairs."""

    chosen: str
    rejected: str


LAYOUTS = (
    Layout("neutral", "toxic"),
    Layout("en_neutral_comment", "en_toxic_comment"),  # ParaDetox on the hub
    Layout("chosen", "rejected"),  # sets for DPO
    Layout("unpert_gen_text", "pert_gen_text"),  # Lee et al. 2024
)

PROMPTS = ("prompt", "prompt_text", "prompts")
"""Columns of prompts, whatever the sides are called: of sets for DPO, of Lee et al. 2024, ours."""

_NAME_THEM = (
    "Name them: chosen=…, rejected=… (bezoar pairs --file … --chosen COLUMN --rejected COLUMN; of "
    "a run --set pairs.chosen=COLUMN --set pairs.rejected=COLUMN)"
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

    Every row is accounted for: ``len(pairs) + sum(origin.left_out.values()) == origin.rows``. A
    file that `Pairs.save` wrote keeps its scores, its provenance and its account of rows, unless a
    column is named: then it is read as a table like any other.

    Args:
        spec: FILE.csv|tsv|json|jsonl|parquet, or ``hub:ID[:CONFIG][@SPLIT]``.
        prompt: column of prompts; found by name when None (see `PROMPTS`), and "" where there is
            none, which ``origin.notes`` say.
        chosen: column of the less toxic sides; found by name when None (see `LAYOUTS`).
        rejected: column of the more toxic sides, likewise.
        data_root: where relative paths start, and what recorded paths are relative to.
        limit: keep this many pairs, drawn by ``seed`` and the texts, not by their order.
        seed: of the draw.
        leaked: what to do about sides that begin with their prompt. "raise" is not asked of a file
            of `Pairs.save` whose pairs a model wrote, or `load_pairs` has read: there it is known.

    Raises:
        DataError: saying what is there and what was looked for.
        CorruptArtefact: if a file of `Pairs.save` was altered or is damaged.
    """
    if limit is not None and limit < 1:
        raise DataError(f"A limit of {limit} keeps nothing.", hint="Give 1 or more, or none.")
    found = _file(spec, data_root)
    if not (prompt or chosen or rejected) and _saved(found):
        read = _ours(found)
        if leaked == "raise" and "how" in read.provenance:
            leaked = "keep"
    else:
        read = _table(found, _columns(found, prompt, chosen, rejected))
    pairs, _ = clean_pairs(read, leaked=leaked, at=found.table.at)
    return pairs if limit is None or limit >= len(pairs) else _drawn(pairs, limit, seed)


def _table(found: Found, names: dict[str, str]) -> Pairs:
    """The columns of each role as they are."""
    notes = [*found.table.notes, *found.notes]
    columns: dict[str, tuple[str, ...]] = {}
    for role, name in names.items():
        where = f"{found.table.place}, column {name!r}"
        texts, repaired = repair(as_texts(found.table.column(name), where, found.table.at))
        columns[role] = tuple(texts)
        notes.append(repaired and f"column {name!r}: {repaired}")
    skipped = found.table.skipped
    name, recorded = repair([found.name, found.recorded])[0]
    return Pairs(
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


def _saved(found: Found) -> bool:
    """Whether `Pairs.save` wrote the file."""
    path = Path(found.table.place)
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    try:
        header = json.loads((pq.read_schema(path).metadata or {}).get(b"bezoar", b"null"))
    except (OSError, ValueError, pa.ArrowException):
        return False
    return isinstance(header, dict) and header.get("kind") == Pairs.__name__


def _ours(found: Found) -> Pairs:
    """What was saved; where it was read from, and what it was made of, are on record."""
    read = Pairs.load(found.table.place)
    was, left_out = read.origin, sum(read.origin.left_out.values())
    origin = dataclasses.replace(
        was,
        spec=repair([found.recorded])[0][0],
        sha256=found.table.sha256,
        notes=(*was.notes, f"saved by bezoar, of {was.spec}" if was.spec else "saved by bezoar"),
        rows=was.rows or len(read) + left_out,
    )
    return dataclasses.replace(read, origin=origin)


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
            hint=f"{_NAME_THEM}.",
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
    ways: dict[tuple[str, str], None] = {}
    for layout in LAYOUTS:
        one, other = chosen or spelt.get(layout.chosen), rejected or spelt.get(layout.rejected)
        if one and other and one != other:
            ways[one, other] = None
    if chosen and chosen == rejected:
        raise DataError(
            f"Column {chosen!r} was named for both sides.", hint="Name a column for each."
        )
    if len(ways) != 1:
        raise _undecided(found, list(ways))
    (sides,) = ways
    if prompt in sides:
        raise DataError(f"Column {prompt!r} is a side and the prompt.", hint="Name another.")
    names = dict(zip(("chosen", "rejected"), sides, strict=True))
    before = prompt or _prompt(found, [spelt[p] for p in PROMPTS if p in spelt], sides)
    if before:
        names["prompt"] = before
    given = {"chosen": chosen, "rejected": rejected, "prompt": prompt}
    guessed = [f"{role} column {name!r}" for role, name in names.items() if not given[role]]
    if guessed:
        found.notes.append(f"{' and '.join(guessed)}, found by name")
    if not before:
        found.notes.append("no column of prompts: every prompt is empty")
    return names


def _prompt(found: Found, known: list[str], sides: tuple[str, str]) -> str | None:
    """The one column that is known to hold prompts, if there is one."""
    known = [name for name in known if name not in sides]
    if len(known) > 1:
        raise DataError(
            f"{found.table.place}: {counted(len(known), 'column')} could be the prompts: "
            f"{listed(known)}.",
            hint="Name it: prompt=… (--prompt COLUMN).",
        )
    return known[0] if known else None


def _undecided(found: Found, ways: list[tuple[str, str]]) -> DataError:
    place, columns = found.table.place, found.table.columns
    if ways:
        seen = "; ".join(f"chosen {one!r}, rejected {other!r}" for one, other in ways)
        return DataError(
            f"{place}: {counted(len(ways), 'pair')} of columns could be meant: {seen}.",
            hint=f"{_NAME_THEM}.",
        )
    known = "; ".join(f"{layout.chosen} and {layout.rejected}" for layout in LAYOUTS)
    names = {name for layout in LAYOUTS for name in (layout.chosen, layout.rejected)}
    near = [did_you_mean(name, names) for name in columns if name.lower() not in names]
    meant = next((hint for hint in near if hint.startswith("Did")), "")
    return DataError(
        f"{place}: no columns are known to be the two sides: it has {listed(columns)}; known are "
        f"{known}.",
        hint=f"{_NAME_THEM}. {meant}".rstrip(),
    )


def _drawn(pairs: Pairs, limit: int, seed: int) -> Pairs:
    """The pairs that hash lowest: the same ones whatever the order of the file."""
    rows = zip(pairs.prompts, pairs.chosen, pairs.rejected, strict=True)
    keys = [unit_hash("\0".join(row), f"limit-{seed}") for row in rows]
    chosen = np.sort(np.argsort(keys, kind="stable")[:limit])
    note = f"{limit} of {len(pairs)} pairs drawn, seed {seed}"
    return pairs.take(chosen, note=note, left_out="beyond the limit")
