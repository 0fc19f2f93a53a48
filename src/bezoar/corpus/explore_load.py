"""Reading texts to look at them: labels are welcome, and not needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bezoar.corpus.adapters import ADAPTERS
from bezoar.corpus.corpus import Corpus, Unlabelled
from bezoar.corpus.draw import check_limit, drawn
from bezoar.corpus.labels import as_names
from bezoar.corpus.load import LABEL_NAMES, build, load_corpus, read_corpus, texts_of
from bezoar.corpus.spec import Found, find
from bezoar.corpus.table import quoted
from bezoar.errors import DataError

SOURCE_NAMES = ("source", "dataset", "platform", "origin")
CATEGORY_NAMES = ("category", "cluster_name", "topic", "kind", "type")
MOST_NAMES = 60
"""A column of more different values than this names no sources or categories."""


def load_texts(
    spec: str | Path,
    *,
    text: str | None = None,
    label: str | None = None,
    positive: str | Sequence[str] | None = None,
    threshold: float | None = None,
    source: str | None = None,
    category: str | None = None,
    data_root: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Corpus | Unlabelled:
    """Read texts, with their labels if there are any.

    As `load_corpus`, save that columns of sources and categories are found by name too, that a
    limit draws from all texts alike, and that where nothing was said about labels, and none can be
    read, the texts come without. What was found, or not, is in the notes of the origin.

    Raises:
        DataError: as `load_corpus`; about labels only if something was said about them. Also if
            columns are named of the demo's texts, which know theirs.
    """
    check_limit(limit)
    if spec == "demo":
        told = {"text": text, "label": label, "positive": positive, "threshold": threshold}
        told |= {"source": source, "category": category}
        if wrong := [f"--{name}" for name, value in told.items() if value is not None]:
            raise DataError(
                f"{', '.join(wrong)} cannot be said of the demo's texts, which have their labels.",
                hint="Leave it out, or name a file of your own.",
            )
        return drawn(load_corpus(spec), limit, seed, "texts")
    found = find(spec, data_root)
    named = {"source": source, "category": category}
    if not found.adapter:
        for kind, names in (("source", SOURCE_NAMES), ("category", CATEGORY_NAMES)):
            named[kind] = named[kind] or _by_name(found, kind, names)
    if found.adapter and ADAPTERS[found.adapter].corpus is None:
        return drawn(_of_adapter(found), limit, seed, "texts")
    asked = replace(found, notes=list(found.notes))
    try:
        return drawn(
            read_corpus(asked, text, label, positive, threshold, named), limit, seed, "texts"
        )
    except DataError as error:
        if found.adapter or any(said is not None for said in (label, positive, threshold)):
            raise
        found.notes.append(f"no labels: {error.message} {error.hint}".strip())
        return drawn(_unlabelled(found, text, named), limit, seed, "texts")


def _by_name(found: Found, kind: str, names: Sequence[str]) -> str | None:
    """The one column that has such a name and few values, if there is one."""
    there = [name for name in found.table.columns if name.lower() in names]
    if len(there) != 1:
        return None
    values = len(set(as_names(found.table.column(there[0]))))
    if values > MOST_NAMES:
        note = f"column {there[0]!r} has {values:,} different values: not taken for the {kind}"
        found.notes.append(f"{note} (--{kind} {there[0]} takes it)")
        return None
    found.notes.append(f"{kind} column {there[0]!r}, found by its name")
    return there[0]


def _of_adapter(found: Found) -> Unlabelled:
    """The texts of a known set that has no labels."""
    kind = "prompts" if ADAPTERS[found.adapter].prompts else "neutral"
    columns = ADAPTERS[found.adapter].reader(kind, found.adapter)(found.table)
    columns = {name: columns[name] for name in ("texts", "keep") if name in columns}
    built: Unlabelled = build(Unlabelled, columns, found, False)
    return built


def _unlabelled(found: Found, text: str | None, named: dict[str, str | None]) -> Unlabelled:
    """The texts alone; a column that looked like labels, but is not of two values, has kinds."""
    columns: dict[str, object] = {"texts": texts_of(found, found.text if text is None else text)}
    if named["category"] is None:
        named["category"] = _kinds(found)
    columns |= {k: as_names(found.table.column(v)) for k, v in named.items() if v is not None}
    built: Unlabelled = build(Unlabelled, columns, found, False)
    return built


def _kinds(found: Found) -> str | None:
    there = [name for name in found.table.columns if name.lower() in LABEL_NAMES]
    if len(there) != 1 or len(set(as_names(found.table.column(there[0])))) > MOST_NAMES // 2:
        return None
    found.notes.append(f"column {quoted(there[0])} taken for the category")
    return there[0]
