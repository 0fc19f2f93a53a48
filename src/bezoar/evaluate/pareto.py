"""Weighing less toxicity against what it cost: TPH, the Pareto front, its hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from bezoar.errors import ConfigError, DataError


def tph(
    toxicity: float,
    perplexity: float,
    base_toxicity: float,
    base_perplexity: float,
    penalise: Literal["abs", "increase_only"] = "abs",
) -> float:
    """The harmonic mean of toxicity reduction and perplexity retention (B.10), in [0, 1].

    T = 1 − toxicity / base, P = perplexity / base − 1, q = 1 / (1 + |P|), TPH = 2Tq / (T + q);
    0 where toxicity did not fall. Measure the base through the same code path (a no-op edit).

    Args:
        penalise: "abs" as published, which also penalises a perplexity that improves;
            "increase_only" does not.

    Raises:
        DataError: if a base is not positive.
        ConfigError: if ``penalise`` is unknown.
    """
    if penalise not in ("abs", "increase_only"):
        raise ConfigError(f"penalise must be 'abs' or 'increase_only', not {penalise!r}.")
    if base_toxicity <= 0 or base_perplexity <= 0:
        raise DataError(
            f"TPH needs a positive base: toxicity {base_toxicity}, perplexity {base_perplexity}."
        )
    reduction = 1 - toxicity / base_toxicity
    change = perplexity / base_perplexity - 1
    return tph_score(reduction, abs(change) if penalise == "abs" else max(change, 0.0))


def tph_score(reduction: float, change: float) -> float:
    """TPH from T and P directly; only the size of ``change`` counts."""
    return float(tph_scores(np.array([reduction]), np.array([change]))[0])


def tph_scores(
    reduction: Float[np.ndarray, " n"], change: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """`tph_score` of many pairs."""
    gain = reduction.clip(min=0.0)
    kept = 1 / (1 + np.abs(change))
    return np.asarray(2 * gain * kept / (gain + kept))


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Indices of the points that no other beats in both coordinates (less is better in each).

    Ordered by the first coordinate. Of equal points the first is kept.
    """
    best = float("inf")
    front = []
    for index in sorted(range(len(points)), key=lambda i: (*points[i], i)):
        if points[index][1] < best:
            best = points[index][1]
            front.append(index)
    return tuple(front)


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """The area dominated by the points inside the box that ends at ``reference``.

    Choose the reference worse than every point worth counting (for example the base's toxicity and
    the budget's perplexity); points outside the box add nothing. More is better.
    """
    inside = [point for point in points if point[0] < reference[0] and point[1] < reference[1]]
    area, ceiling = 0.0, reference[1]
    for index in pareto_front(inside):
        x, y = inside[index]
        area += (reference[0] - x) * (ceiling - y)
        ceiling = y
    return area
