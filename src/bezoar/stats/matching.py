"""Rows of two classes that are alike in something else: what is left cannot be due to that."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import ArrayLike

from bezoar.stats.classification import binary_labels


def bands(values: Shaped[np.ndarray, " n"], width: float = 0.05) -> Int64[np.ndarray, " n"]:
    """The band of each positive value; those of a band differ by no more than about ``width``."""
    return np.round(np.log(values) / np.log1p(width)).astype(np.int64)


def matched_rows(
    strata: Shaped[np.ndarray, " n"], labels: ArrayLike, seed: int = 0
) -> Int64[np.ndarray, " rows"]:
    """The most rows of which every stratum has as many of one label as of the other, in order.

    Args:
        strata: of each row, such as the band of its length.
        labels: 0/1.
        seed: of which rows stay where a stratum has more of one label.
    """
    y = binary_labels(labels)
    shuffled = np.random.default_rng(seed).permutation(len(y))
    kept: list[np.ndarray] = []
    for stratum in np.unique(strata):
        rows = shuffled[strata[shuffled] == stratum]
        sides = rows[y[rows]], rows[~y[rows]]
        few = min(map(len, sides))
        kept += [side[:few] for side in sides]
    return np.sort(np.concatenate(kept)).astype(np.int64)
