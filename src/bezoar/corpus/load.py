"""Reading labelled texts, prompts and neutral text from what a user names (see ``spec``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from bezoar.corpus.adapters import ADAPTERS
from bezoar.corpus.corpus import Corpus, NeutralText, Prompts, looks_tokenised
from bezoar.corpus.draw import LIMIT, balanced, check_limit, drawn
from bezoar.corpus.labels import (
    as_names,
    as_texts,
    binary_labels,
    matched,
    numbers,
    repair,
    says_nothing,
)
from bezoar.corpus.rows import Origin
from bezoar.corpus.spec import Found, demo_path, find
from bezoar.corpus.split import own_parts
from bezoar.corpus.table import Table, counted, listed
from bezoar.errors import DataError
from bezoar.stats.splits import is_reserved

TEXT_NAMES = (
    "text",
    "comment_text",
    "comment",
    "sentence",
    "content",
    "prompt",
    "tweet",
    "message",
)
LABEL_NAMES = ("label", "toxic", "is_toxic", "toxicity", "hate", "target", "class", "y")

_UNNAMED = {
    ".csv": "Name it (--{what} COLUMN). The first line of the file must name the columns.",
    ".txt": "Plain lines have no labels: give CSV, JSON lines or parquet with a label column.",
}
_UNNAMED[".tsv"] = _UNNAMED[".csv"]
_NOT_RESERVED = "not reserved"


def load_corpus(
    spec: str | Path,
    *,
    text: str | None = None,
    label: str | None = None,
    positive: str | Sequence[str] | None = None,
    threshold: float | None = None,
    source: str | None = None,
    category: str | None = None,
    split: str | None = None,
    group: str | None = None,
    data_root: str | Path | None = None,
    reserved_only: bool = False,
    limit: int | None = None,
    seed: int = 0,
) -> Corpus:
    """Read labelled texts.

    Args:
        spec: ``demo``, a known set, a file or a hub id; the grammar is in ``bezoar.corpus.spec``.
        text: column of texts; that of the spec (``file.csv#body``), or found by name, when None.
        label: column of labels; found by name when None.
        positive: the label value, or values, that mean 1; of a known set, the category.
        threshold: for score columns: 1 from this score on.
        source: column for results by source; so is ``category``.
        split: column of train, select and report, or of other usual words for them; without it,
            rows are split by hash.
        group: column of what a split keeps together.
        data_root: where relative paths start, and what recorded paths are relative to.
        reserved_only: keep the fifth of the texts that no demo asset was trained on (of "demo",
            which is not training text, everything).
        limit: keep this many texts, drawn by ``seed``, as many of each label as there are.

    Raises:
        DataError: saying what is there and what was looked for.
    """
    check_limit(limit)
    if spec == "demo":
        corpus = Corpus.load(demo_path("corpus_path"))
    else:
        named = {"source": source, "category": category, "split": split, "group": group}
        found = find(spec, data_root)
        corpus = read_corpus(found, text, label, positive, threshold, named, reserved_only)
    return balanced(corpus, limit, seed)


def read_corpus(
    found: Found,
    text: str | None,
    label: str | None,
    positive: str | Sequence[str] | None,
    threshold: float | None,
    named: Mapping[str, str | None],
    reserved_only: bool = False,
) -> Corpus:
    """The labelled texts of a table; as `load_corpus`, further columns by kind in ``named``."""
    text = found.text if text is None else text
    if found.adapter:
        columns = ADAPTERS[found.adapter].reader("corpus", found.adapter)(found.table)
        if positive is not None:
            columns["labels"] = _of_category(found, columns, positive)
    else:
        columns = _labelled(found, text, label, positive, threshold)
    columns |= {k: as_names(found.table.column(v)) for k, v in named.items() if v is not None}
    _settle_split(found, columns, named.get("split"))
    return cast(Corpus, build(Corpus, columns, found, reserved_only))


def load_prompts(
    spec: str | Path,
    *,
    text: str | None = None,
    subset: Literal["challenging", "toxic", "nontoxic", "all"] = "all",
    data_root: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Prompts:
    """Read prompts; see ``load_corpus`` for the other arguments and errors.

    ``subset`` is the part of RealToxicityPrompts that ``rtp:`` stands for (a protocol names its
    own); a file that does not say which prompts are challenging gives all. Empty prompts are left
    out, and counted. A column ``toxicity`` of scores in [0, 1] is taken along if there is one.
    """
    check_limit(limit)
    if spec == "demo":
        prompts = Prompts.load(demo_path("prompts_path"))
    else:
        found = find(spec, data_root)
        text = found.text if text is None else text
        if found.adapter == "rtp" and _marks(found.table, subset):
            found = replace(found, adapter=f"rtp-{subset}", name=f"rtp-{subset}")
        if found.adapter:
            columns = ADAPTERS[found.adapter].reader("prompts", found.adapter)(found.table)
        else:
            columns = {"texts": texts_of(found, text)}
            if text != "toxicity" and "toxicity" in found.table.columns:
                cells = found.table.column("toxicity")
                where = f"{found.table.place}, column 'toxicity'"
                columns["toxicity"] = numbers(cells, where, found.table.at, limits=(0.0, 1.0))
        prompts = build(Prompts, columns, found, False)
    return drawn(prompts, limit, seed, "prompts")


def load_neutral(
    spec: str | Path,
    *,
    text: str | None = None,
    data_root: str | Path | None = None,
    reserved_only: bool = False,
    limit: int | None = None,
) -> NeutralText:
    """Read ordinary prose, its lines in order; ``limit`` keeps the first ones.

    Blank lines stay: they are part of prose. Errors as for ``load_corpus``.
    """
    check_limit(limit)
    if spec == "demo":
        neutral = NeutralText.load(demo_path("neutral_path"))
    else:
        found = find(spec, data_root)
        text = found.text if text is None else text
        if found.adapter:
            columns = ADAPTERS[found.adapter].reader("neutral", found.adapter)(found.table)
        else:
            columns = {"texts": texts_of(found, text)}
        lines = (line for line in columns["texts"] if isinstance(line, str))
        columns["tokenised"] = looks_tokenised(lines)
        neutral = build(NeutralText, columns, found, reserved_only)
    if limit is None or limit >= len(neutral):
        return neutral
    note = f"the first {limit} of {len(neutral)} texts"
    return neutral.take(np.arange(limit), note=note, left_out=LIMIT)


def _settle_split(found: Found, columns: dict[str, Any], split: str | None) -> None:
    """Say what the words of a split column are taken for, or that one is there and not used."""
    if split is not None:
        where = f"{found.table.place}, column {split!r},"
        columns["split"], said = own_parts(columns["split"], where)
        found.notes.append(said)
    elif "split" in columns:
        found.notes.append("split: the set's own parts")
    elif there := next((name for name in found.table.columns if name.lower() == "split"), None):
        seen = listed(sorted(set(as_names(found.table.column(there)))))
        found.notes.append(f"column {there!r} ({seen}) not used: name it to keep that split")


def _marks(table: Table, subset: str) -> bool:
    """Whether a RealToxicityPrompts table says which prompts are of a subset."""
    return subset != "challenging" or any(table.columns.get(subset, ()))


def _column_name(found: Found, asked: str | None, names: tuple[str, ...], what: str) -> str:
    table = found.table
    if asked is not None:
        table.column(asked)
        return asked
    there = [column for column in table.columns if column.lower() in names]
    if not there and what == "text" and len(table.columns) == 1:
        there = list(table.columns)
    if len(there) != 1:
        problem = "several columns could be the" if there else "no column is known to be the"
        seen = listed(there or table.columns)
        hint = f"Name it (--{what} COLUMN)."
        if not there:
            hint = _UNNAMED.get(Path(table.place).suffix.lower(), "").format(what=what) or hint
        raise DataError(f"{table.place}: {problem} {what}: {seen}.", hint=hint)
    found.notes.append(f"{what} column {there[0]!r}, found by its name")
    return there[0]


def texts_of(found: Found, text: str | None) -> list[Any]:
    """The column of texts, named or found by its name."""
    return found.table.column(_column_name(found, text, TEXT_NAMES, "text"))


def _labelled(
    found: Found,
    text: str | None,
    label: str | None,
    positive: str | Sequence[str] | None,
    threshold: float | None,
) -> dict[str, Any]:
    texts = texts_of(found, text)
    name = _column_name(found, label, LABEL_NAMES, "label")
    where = f"{found.table.place}, column {name!r}"
    cells = found.table.column(name)
    return {
        "texts": texts,
        "labels": binary_labels(
            cells, where, positive=positive, threshold=threshold, at=found.table.at
        ),
    }


def _of_category(
    found: Found, columns: dict[str, Any], positive: str | Sequence[str]
) -> np.ndarray:
    """Label 1 for the named categories of a known set, whatever it calls 1 itself."""
    wanted = [positive] if isinstance(positive, str) else list(positive)
    if "category" not in columns:
        raise DataError(
            f"{found.adapter} has no categories of which {listed(wanted)} could be one.",
            hint="Leave the positive value out: the labels are the set's own.",
        )
    found.notes.append(f"label 1 is the category {listed(wanted)}")
    return matched(columns["category"], f"{found.table.place}, its categories", wanted)


def build(kind: type[Any], columns: dict[str, Any], found: Found, reserved_only: bool) -> Any:
    """Texts checked and repaired, rows filtered, everything that was done noted and counted."""
    table = found.table
    verbatim = as_texts(columns.pop("texts"), table.place, table.at)
    texts, repaired = repair(verbatim, table.at)
    keep = np.ones(len(texts), dtype=bool)
    left_out = dict(table.skipped)
    notes = [*table.notes, *found.notes, repaired]
    notes += [f"{counted(n, reason)} left out" for reason, n in table.skipped.items()]

    def only(wanted: np.ndarray, reason: str, note: str) -> None:
        """Keep the wanted rows; ``note`` tells of how many of how many."""
        before, kept = int(keep.sum()), int((keep & wanted).sum())
        if kept < before or reason == _NOT_RESERVED:
            notes.append(f"{kept} of {before} {note}")
        left_out[reason] = before - kept
        keep[:] &= wanted

    if "keep" in columns:
        wanted = np.asarray(columns.pop("keep"), dtype=bool)
        only(wanted, "of another part of the set", "rows are of this part of the set")
    if kind is Prompts:
        says = np.array([not says_nothing(text) for text in texts], dtype=bool)
        only(says, "empty", "prompts say something")
    if reserved_only:
        # The reserve was cut on the text as it stands in the file.
        wanted = np.fromiter(map(is_reserved, verbatim), dtype=bool)
        only(wanted, _NOT_RESERVED, "rows are reserved: no demo asset saw them")
    said = "; ".join(filter(None, notes))
    if not keep.any():
        raise DataError(
            f"{found.recorded}: no row is left. {said}.", hint="Give other rows, or more."
        )
    name, recorded = repair([found.name, found.recorded])[0]
    columns |= {k: tuple(v) for k, v in columns.items() if isinstance(v, list)}
    origin = Origin(recorded, table.sha256, rows=len(texts) + sum(table.skipped.values()))
    rows = kind(texts=tuple(texts), name=name, **columns)
    kept = rows if keep.all() else rows.take(keep)
    return replace(kept, origin=origin.without(left_out, *notes))
