"""Texts that stand in a corpus more than once, to the letter or nearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bezoar.runs.results import Result
from bezoar.stats.duplicates import near_groups
from bezoar.stats.splits import joint_groups, text_key


@dataclass(frozen=True, slots=True)
class Repeats(Result):
    """How much of a corpus is said again.

    Attributes:
        texts: looked at.
        exact: texts that repeat an earlier one (case, width and blanks ignored).
        near: further ones that nearly do: texts more than there are families, less ``exact``.
        families: sets of two or more texts that repeat one another, nearly or exactly.
        largest: texts of the largest family.
        across_sources: families that have texts of several sources.
        across_labels: families that have texts of both labels; 0 without labels.
        similarity: from which on two texts are near repeats.
    """

    texts: int
    exact: int
    near: int
    families: int
    largest: int
    across_sources: int
    across_labels: int
    similarity: float


def find_repeats(
    texts: Sequence[str],
    source: Sequence[str] | None = None,
    labels: Sequence[int] | None = None,
    *,
    similarity: float = 0.7,
) -> Repeats:
    """Join texts that repeat one another, nearly or exactly, into families."""
    keys = [text_key(text) for text in texts]
    family = joint_groups(keys, near_groups(texts, similarity).tolist())
    size = np.bincount(family, minlength=1)
    exact = len(texts) - len(set(keys))
    return Repeats(
        texts=len(texts),
        exact=exact,
        near=int((size - 1)[size > 0].sum()) - exact,
        families=int((size > 1).sum()),
        largest=int(size.max()),
        across_sources=_across(family, source),
        across_labels=_across(family, labels),
        similarity=similarity,
    )


def _across(family: np.ndarray, cells: Sequence[object] | None) -> int:
    """Families in which the cells differ."""
    if cells is None:
        return 0
    kinds: dict[int, set[object]] = {}
    for number, cell in zip(family.tolist(), cells, strict=True):
        kinds.setdefault(number, set()).add(cell)
    return sum(len(seen) > 1 for seen in kinds.values())
