"""Reading labelled texts, prompts and neutral text from what a user names (see ``spec``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bezoar.corpus.adapters import ADAPTERS
from bezoar.corpus.corpus import Corpus, NeutralText, Origin, Prompts
from bezoar.corpus.labels import as_texts, binary_labels, repair
from bezoar.corpus.spec import Found, demo_path, find
from bezoar.errors import DataError
from bezoar.stats.splits import is_reserved, unit_hash

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


def load_corpus(
    spec: str,
    *,
    text: str | None = None,
    label: str | None = None,
    positive: str | Sequence[str] | None = None,
    threshold: float | None = None,
    source: str | None = None,
    category: str | None = None,
    split: str | None = None,
    group: str | None = None,
    data_root: Path | None = None,
    reserved_only: bool = False,
    limit: int | None = None,
    seed: int = 0,
) -> Corpus:
    """Read labelled texts.

    Args:
        spec: ``demo``, a known set, a file or a hub id; the grammar is in ``bezoar.corpus.spec``.
        text: column of texts; found by name when None.
        label: column of labels; found by name when None.
        positive: the label value, or values, that mean 1.
        threshold: for score columns: 1 from this score on.
        source: column for results by source. So are ``category``, ``split`` and ``group``.
        data_root: where relative paths start, and what recorded paths are relative to.
        reserved_only: keep the fifth of the texts that no demo asset was trained on (of "demo",
            which is not training text, everything).
        limit: keep this many texts, drawn by ``seed``, as many of each label as there are.

    Raises:
        DataError: saying what is there and what was looked for.
    """
    if spec == "demo":
        corpus = Corpus.load(demo_path("corpus_path"))
    else:
        found = find(spec, data_root)
        named = {"source": source, "category": category, "split": split, "group": group}
        if found.adapter:
            columns = ADAPTERS[found.adapter].reader("corpus", found.adapter)(found.table)
        else:
            columns = _labelled(found, text, label, positive, threshold)
        columns |= {k: _strings(found.table.column(v)) for k, v in named.items() if v is not None}
        corpus = _build(Corpus, columns, found, reserved_only)
    return _balanced(corpus, limit, seed)


def load_prompts(
    spec: str,
    *,
    text: str | None = None,
    data_root: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Prompts:
    """Read prompts; see ``load_corpus`` for the arguments and errors.

    A column ``toxicity`` of scores in [0, 1] is taken along if there is one.
    """
    if spec == "demo":
        prompts = Prompts.load(demo_path("prompts_path"))
    else:
        found = find(spec, data_root)
        if found.adapter:
            columns = ADAPTERS[found.adapter].reader("prompts", found.adapter)(found.table)
        else:
            columns = {"texts": _texts(found, text)}
            if text != "toxicity" and "toxicity" in found.table.columns:
                columns["toxicity"] = _numbers(found)
        prompts = _build(Prompts, columns, found, False)
    return _drawn(prompts, np.arange(len(prompts)), limit, seed)


def load_neutral(
    spec: str,
    *,
    text: str | None = None,
    data_root: Path | None = None,
    reserved_only: bool = False,
    limit: int | None = None,
) -> NeutralText:
    """Read ordinary prose, its lines in order; ``limit`` keeps the first ones."""
    if spec == "demo":
        neutral = NeutralText.load(demo_path("neutral_path"))
    else:
        found = find(spec, data_root)
        if found.adapter:
            columns = ADAPTERS[found.adapter].reader("neutral", found.adapter)(found.table)
        else:
            columns = {"texts": _texts(found, text)}
        neutral = _build(NeutralText, columns, found, reserved_only)
    if limit is None or limit >= len(neutral):
        return neutral
    return neutral.take(np.arange(limit), note=f"the first {limit} of {len(neutral)} texts")


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
        seen = ", ".join(repr(column) for column in there or table.columns)
        raise DataError(
            f"{table.place}: {problem} {what}: {seen}.",
            hint=f"Name it (--{what} COLUMN).",
        )
    found.notes.append(f"{what} column {there[0]!r}, found by its name")
    return there[0]


def _texts(found: Found, text: str | None) -> list[Any]:
    return found.table.column(_column_name(found, text, TEXT_NAMES, "text"))


def _numbers(found: Found) -> list[float]:
    cells = found.table.column("toxicity")
    try:
        return [float("nan") if cell in (None, "") else float(cell) for cell in cells]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{found.table.place}, column 'toxicity': {error}.", hint="Scores in [0, 1] are needed."
        ) from error


def _labelled(
    found: Found,
    text: str | None,
    label: str | None,
    positive: str | Sequence[str] | None,
    threshold: float | None,
) -> dict[str, Any]:
    texts = _texts(found, text)
    name = _column_name(found, label, LABEL_NAMES, "label")
    where = f"{found.table.place}, column {name!r}"
    cells = found.table.column(name)
    return {
        "texts": texts,
        "labels": binary_labels(cells, where, positive=positive, threshold=threshold),
    }


def _strings(cells: Sequence[Any]) -> list[str]:
    return ["" if cell is None else str(cell) for cell in cells]


def _build(kind: type[Any], columns: dict[str, Any], found: Found, reserved_only: bool) -> Any:
    """Texts checked and repaired, rows filtered, everything that was done noted."""
    verbatim = as_texts(columns.pop("texts"), found.table.place)
    if not verbatim:
        raise DataError(f"{found.table.place} has no rows.")
    keep = np.array(columns.pop("keep", np.ones(len(verbatim))), dtype=bool)
    columns |= {k: tuple(v) for k, v in columns.items() if isinstance(v, list)}
    columns |= {k: np.array(columns[k]) for k in ("labels", "toxicity") if k in columns}
    notes = list(found.notes)
    texts, note = repair(verbatim)
    notes += [note] if note else []
    if not keep.all():
        notes.append(f"{keep.sum()} of {len(keep)} rows are of this part of the set")
    if reserved_only:
        # The reserve was cut on the text as it stands in the file.
        chosen = keep & np.fromiter(map(is_reserved, verbatim), dtype=bool)
        notes.append(f"{chosen.sum()} of {keep.sum()} rows are reserved: no demo asset saw them")
        keep = chosen
    if not keep.any():
        raise DataError(f"{found.recorded}: no row is left. {'; '.join(notes)}.")
    origin = Origin(found.recorded, found.table.sha256, tuple(notes))
    rows = kind(texts=tuple(texts), name=found.name, origin=origin, **columns)
    return rows if keep.all() else rows.take(keep)


def _balanced(corpus: Corpus, limit: int | None, seed: int) -> Corpus:
    if limit is None or limit >= len(corpus):
        return corpus
    negative, positive = (np.flatnonzero(corpus.labels == label) for label in (0, 1))
    n_positive = min(len(positive), max(limit // 2, limit - len(negative)))
    rows = [
        _by_hash(corpus.texts, negative, limit - n_positive, seed),
        _by_hash(corpus.texts, positive, n_positive, seed),
    ]
    chosen = np.sort(np.concatenate(rows))
    return corpus.take(chosen, note=f"{len(chosen)} of {len(corpus)} texts drawn, seed {seed}")


def _drawn(prompts: Prompts, rows: np.ndarray, limit: int | None, seed: int) -> Prompts:
    if limit is None or limit >= len(rows):
        return prompts
    chosen = np.sort(_by_hash(prompts.texts, rows, limit, seed))
    return prompts.take(chosen, note=f"{limit} of {len(rows)} prompts drawn, seed {seed}")


def _by_hash(texts: Sequence[str], rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The ``n`` rows whose texts hash lowest: the same ones whatever the order of the file."""
    keys = [unit_hash(texts[row], f"limit-{seed}") for row in rows]
    return rows[np.argsort(keys, kind="stable")[:n]]
