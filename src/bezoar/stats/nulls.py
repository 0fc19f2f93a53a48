"""Nulls that could have won: what the same code gives when there is nothing to find."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Shaped
from numpy.typing import ArrayLike

from bezoar.errors import DataError
from bezoar.stats.bootstrap import Groups, cluster_index

Alternative = Literal["greater", "less", "two-sided"]

FEWEST_DRAWS = 19
"""Null draws below which being the first of all ranks is no p of 0.05: they decide nothing."""


def null_p_value(observed: float, draws: ArrayLike, alternative: Alternative = "greater") -> float:
    """``(1 + #{draws at least as extreme}) / (1 + n)`` (Phipson & Smyth 2010): never 0.

    39 draws are the least that can give p < .05 on two sides, 19 the least for p = .05 on one.
    "two-sided" doubles the smaller tail (at most 1).
    """
    values = np.asarray(draws, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or not np.isfinite(observed):
        raise DataError(
            f"The observation is {observed} and the draws have shape {values.shape}.",
            hint="Both must be finite, the draws a flat list.",
        )
    above = float((1 + (values >= observed).sum()) / (1 + len(values)))
    below = float((1 + (values <= observed).sum()) / (1 + len(values)))
    if alternative == "two-sided":
        return min(1.0, 2 * min(above, below))
    return above if alternative == "greater" else below


def sign_flip_p_value(
    a: ArrayLike,
    b: ArrayLike,
    groups: Groups | None = None,
    *,
    alternative: Alternative = "two-sided",
    draws: int = 10_000,
    seed: int = 0,
) -> float:
    """p of ``mean(a) = mean(b)`` for paired rows, by flipping the sign of whole prompts.

    Fisher's randomisation test: if the edit does nothing, each prompt's difference could as well
    have had the other sign. Its p-values are what Holm adjusts across methods.
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if difference.ndim != 1 or not np.isfinite(difference).all():
        raise DataError(
            f"The paired differences have shape {difference.shape} or are not finite.",
            hint="Give two flat lists of equal length without NaN.",
        )
    sums = np.bincount(cluster_index(groups, len(difference)), weights=difference)
    flipped = _flipped(sums, draws, seed)
    # Sums of the same numbers in another order may differ in the last bit: count them as ties.
    slack = 1e-12 * float(np.abs(sums).sum())
    observed = float(sums.sum())
    if alternative == "two-sided":
        return null_p_value(abs(observed) - slack, np.abs(flipped))
    if alternative == "greater":
        return null_p_value(observed - slack, flipped)
    return null_p_value(observed + slack, flipped, "less")


def sign_flip_p_values(
    differences: Float64[np.ndarray, "rows columns"], *, draws: int = 10_000, seed: int = 0
) -> Float64[np.ndarray, " columns"]:
    """`sign_flip_p_value`, two-sided, of many columns of paired differences under the same flips.

    However large a difference, p of n rows is not below 2 / 2ⁿ: few rows find nothing.
    """
    slack = 1e-12 * np.abs(differences).sum(axis=0)
    least = np.abs(differences.sum(axis=0)) - slack
    return (1 + (np.abs(_flipped(differences, draws, seed)) >= least).sum(axis=0)) / (1 + draws)


def _flipped(values: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Sums over rows of [rows *columns], each under a random sign: [draws *columns]."""
    rng = np.random.default_rng(seed)
    step = max(1, 2**21 // len(values))
    return np.concatenate(
        [
            (2.0 * rng.integers(0, 2, size=(min(step, draws - i), len(values))) - 1) @ values
            for i in range(0, draws, step)
        ]
    )


def random_directions(n: int, d: int, norm: float, seed: int = 0) -> Float32[np.ndarray, "n d"]:
    """``n`` directions uniform on the sphere of radius ``norm`` in ``d`` dimensions.

    The first k of n draws are the k draws of the same seed: a longer run extends a shorter one.
    """
    rows = np.random.default_rng(seed).standard_normal((n, d))
    return (norm * rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def shuffled_labels(
    labels: Shaped[np.ndarray, " rows"], n: int, seed: int = 0, strata: Groups | None = None
) -> Shaped[np.ndarray, "n rows"]:
    """``n`` permutations of the labels; with ``strata``, inside each of them only.

    Strata (a source, a length band) keep what a shortcut could exploit, so the null has it too.
    """
    rng = np.random.default_rng(seed)
    index = (
        np.zeros(len(labels), dtype=np.intp)
        if strata is None
        else cluster_index(strata, len(labels))
    )
    shuffled = np.tile(labels, (n, 1))
    for row in shuffled:
        for stratum in range(int(index.max()) + 1):
            places = np.flatnonzero(index == stratum)
            row[places] = row[rng.permutation(places)]
    return shuffled
