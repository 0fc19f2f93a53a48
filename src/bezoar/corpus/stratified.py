"""Train and report, each with its share of every source, kind and label.

``split_corpus`` puts each text on a side by its hash alone, so that it falls there wherever it
turns up; how many of a small source that leaves on a side is chance. Here the shares are exact, as
far as texts that belong together permit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from bezoar.corpus.corpus import Corpus
from bezoar.corpus.split import split_corpus
from bezoar.corpus.table import quoted
from bezoar.errors import DataError
from bezoar.stats.duplicates import near_groups
from bezoar.stats.splits import joint_groups, text_key, unit_hash

_SALT = "bezoar-stratified-1"


def split_stratified(
    corpus: Corpus, report: float = 0.2, *, near: float = 0.7, both_labels: bool = True
) -> tuple[Corpus, Corpus]:
    """Split into train and report, before anything is fitted to either.

    Families (see `with_families`) are never divided. They are laid in a row by label, category and
    source, and within these by hash; walking along it, a family goes to report whenever that brings
    report's share of the texts so far nearer to what was asked (so that a large one stays in
    train). A category that this leaves out of report sends its first family there.
    A corpus with a ``split`` column keeps that split, its select part in train.

    The ``group`` column of either part names families: within a part, too, the texts of one belong
    in one fold, and count as one draw.

    Args:
        corpus: cleaned.
        report: share of the texts.
        near: similarity from which on two texts are near repeats.
        both_labels: refuse parts that lack a label or a category; of a set that is all harmless,
            no part need have more than some text.

    Raises:
        DataError: if a label, or a category, would have no text in one of the parts.
    """
    if not 0 < report < 1:
        raise DataError(f"A report share of {report:g}.", hint="Give one between 0 and 1.")
    if both_labels:
        corpus.need_both_labels()
    corpus = with_families(corpus, near)
    if corpus.split is not None:
        parts = split_corpus(corpus, near=near)
        aside = {text_key(text) for text in parts.report.texts}
        chosen = np.array([text_key(text) in aside for text in corpus.texts], dtype=bool)
        left = {text_key(text) for part in parts for text in part.texts}
        there = np.array([text_key(text) in left for text in corpus.texts], dtype=bool)
    else:
        chosen = _drawn(corpus, report)
        there = np.ones(len(corpus), dtype=bool)
    parts_of = {"train": there & ~chosen, "report": chosen}
    _check(corpus, parts_of, both_labels)
    train, held_out = (
        replace(
            corpus.take(
                rows,
                note=f"the {name} part, {rows.sum()} of {len(corpus)}",
                left_out="in another part",
            ),
            split=None,
        )
        for name, rows in parts_of.items()
    )
    return train, held_out


def with_families(corpus: Corpus, near: float = 0.7) -> Corpus:
    """The same texts, grouped by what belongs together: families, one text or more.

    A family joins repeats, near repeats, near repeats of these, and texts of one group. Its name is
    the least `text_key` among its texts, which no order of the rows changes.

    Args:
        corpus: whose ``group`` column, if it has one, is joined.
        near: similarity from which on two texts are near repeats.
    """
    keys = [text_key(text) for text in corpus.texts]
    named = [name or None for name in corpus.group or [""] * len(corpus)]
    family = joint_groups(keys, near_groups(corpus.texts, near).tolist(), named).tolist()
    least: dict[int, str] = {}
    for number, key in zip(family, keys, strict=True):
        least[number] = min(key, least.get(number, key))
    return replace(corpus, group=tuple(least[number] for number in family))


def _drawn(corpus: Corpus, share: float) -> Bool[np.ndarray, " text"]:
    """Which texts are report, families being one whole each."""
    families = corpus.group or ()
    strata: dict[str, tuple[str, ...]] = {}  # of a family: that of the text it is named after
    for text, stratum in zip(corpus.texts, _strata(corpus), strict=True):
        strata.setdefault(text_key(text), stratum)
    size = Counter(families)
    order = sorted(size, key=lambda name: (strata[name], unit_hash(name, _SALT)))
    taken: set[str] = set()
    seen = sent = 0
    for name in order:
        seen += size[name]
        if abs(sent + size[name] - share * seen) < abs(sent - share * seen):
            taken.add(name)
            sent += size[name]
    _send_first(order, taken, strata)
    return np.array([name in taken for name in families], dtype=bool)


def _strata(corpus: Corpus) -> list[tuple[str, ...]]:
    """Label, category and source of each text."""
    none = ("",) * len(corpus)
    labels = map(str, corpus.labels.tolist())
    return list(zip(labels, corpus.category or none, corpus.source or none, strict=True))


def _send_first(order: Sequence[str], taken: set[str], strata: dict[str, tuple[str, ...]]) -> None:
    """Send one family of each category that has several, and none in report, there; in place."""
    families: dict[str, list[str]] = {}
    for name in order:
        families.setdefault(strata[name][1], []).append(name)
    for several in families.values():
        if len(several) > 1 and taken.isdisjoint(several):
            taken.add(several[0])


def _check(corpus: Corpus, parts: dict[str, Bool[np.ndarray, " text"]], both_labels: bool) -> None:
    """Whether every label and category is in both parts, and any text at all."""
    kinds: dict[str, Sequence[Hashable]] = {}
    if both_labels:
        kinds["label"] = corpus.labels.tolist()
        kinds["category"] = corpus.category or ("",) * len(corpus)
    for part, rows in parts.items():
        if not rows.any():
            raise DataError(
                f"The {part} part of {corpus.name!r} would have none of its {len(corpus)} texts: "
                "those that nearly repeat one another, or are of one group, stay together.",
                hint="Give more texts.",
            )
        for kind, cells in kinds.items():
            there = {cells[row] for row in np.flatnonzero(rows).tolist()}
            if missing := [cell for cell in dict.fromkeys(cells) if cell not in (*there, "")]:
                raise _none_of(corpus, kind, cells, missing, part)


def _none_of(
    corpus: Corpus, kind: str, cells: Sequence[Hashable], missing: list[Hashable], part: str
) -> DataError:
    counts = Counter(cells)
    seen = ", ".join(f"{quoted(name)} (there are {counts[name]:,})" for name in missing[:6])
    return DataError(
        f"The {part} part of {corpus.name!r} would have no text of {kind} {seen}. Those that "
        "nearly repeat one another, or are of one group, stay together.",
        hint=f"Give more of them (a higher --set data.limit=…), or leave that {kind} out of the "
        "file.",
    )
