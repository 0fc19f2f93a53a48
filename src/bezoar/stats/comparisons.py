"""Many tests at once: adjusted p-values, to be compared with the level as they are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from bezoar.errors import DataError


def holm(pvalues: ArrayLike) -> Float64[np.ndarray, " n"]:
    """Holm's (1979) step-down adjustment: any false claim among all has probability ≤ the level.

    With p₍₁₎ ≤ … ≤ p₍ₙ₎: ``p̃₍ᵢ₎ = max_{j ≤ i} min(1, (n − j + 1) p₍ⱼ₎)``, in the order given.
    """
    p = _checked(pvalues)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    return _in_place_of(order, np.maximum.accumulate(steps))


def benjamini_hochberg(pvalues: ArrayLike) -> Float64[np.ndarray, " n"]:
    """Benjamini & Hochberg's (1995) step-up adjustment: expected share of false claims ≤ the level.

    ``p̃₍ᵢ₎ = min_{j ≥ i} min(1, n p₍ⱼ₎ / j)``; holds for independent or positively dependent tests.
    """
    p = _checked(pvalues)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * len(p) / np.arange(1, len(p) + 1))
    return _in_place_of(order, np.minimum.accumulate(steps[::-1])[::-1])


def _in_place_of(order: np.ndarray, sorted_values: np.ndarray) -> np.ndarray:
    values = np.empty_like(sorted_values)
    values[order] = sorted_values
    return values


def _checked(pvalues: ArrayLike) -> np.ndarray:
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError(f"{pvalues!r} are no p-values.", hint="Give a list of numbers in [0, 1].")
    return p
