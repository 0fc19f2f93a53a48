"""Do statistics that need no attack predict what attacks leave?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from rich.table import Table
from scipy.stats import rankdata

from bezoar.errors import DataError
from bezoar.runs.results import Result
from bezoar.stats import Interval, holm
from bezoar.stats.bootstrap import percentile_bounds

LEAST = 4  # edits: of three, no order is rarer than 1 in 6
_EXACT = 8  # edits up to which all orders are counted


@dataclass(frozen=True, slots=True)
class RankCorrelation(Result):
    """Spearman's ρ of one statistic with survival, over edits.

    Attributes:
        statistic: its name.
        rho: with a percentile bootstrap over edits; None if all values are equal.
        p: two-sided, by permutation (all orders of up to eight edits); None likewise.
        p_holm: corrected for the number of statistics.
        n: edits.
    """

    statistic: str
    rho: Interval | None
    p: float | None
    p_holm: float | None
    n: int


@dataclass(frozen=True, slots=True)
class RankCorrelations(Result):
    """One row a statistic, in the order given."""

    rows: tuple[RankCorrelation, ...]

    def __rich__(self) -> Table:
        n = self.rows[0].n if self.rows else 0
        table = Table("statistic", "ρ with survival", "p", "Holm", title=f"over {n} edits")
        for row in self.rows:
            if row.rho is None or row.p is None or row.p_holm is None:
                table.add_row(row.statistic, "all equal", "", "")
            else:
                table.add_row(row.statistic, str(row.rho), f"{row.p:.3f}", f"{row.p_holm:.3f}")
        return table


def rank_correlation(
    statistics: Mapping[str, ArrayLike],
    survivals: ArrayLike,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> RankCorrelations:
    """Spearman's rank correlation of each statistic with the measured survival of the same edits.

    Args:
        statistics: name -> one value an edit.
        survivals: a robustness score an edit, in the same order.
        draws: permutations beyond eight edits, and resamples.
        seed: of both.

    Raises:
        DataError: with fewer than four edits, unequal lengths, or values that are not finite.
    """
    y = np.asarray(survivals, dtype=np.float64)
    rng = np.random.default_rng(seed)
    found: list[tuple[str, Interval | None, float | None]] = []
    for name, values in statistics.items():
        x = np.asarray(values, dtype=np.float64)
        if x.shape != y.shape or y.ndim != 1 or len(y) < LEAST:
            raise DataError(
                f"{name} has {x.size} values for {y.size} survivals.",
                hint=f"Give one each for at least {LEAST} edits.",
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise DataError(f"{name} or a survival is not finite.", hint="Leave that edit out.")
        rho = _spearman(x[None], y[None])[0]
        if math.isnan(rho):
            found.append((name, None, None))
            continue
        found.append((name, _interval(x, y, rho, draws, rng), _p_value(x, y, rho, draws, rng)))
    adjusted = iter(holm([p for _, _, p in found if p is not None]))
    rows = tuple(
        RankCorrelation(name, rho, p, None if p is None else float(next(adjusted)), len(y))
        for name, rho, p in found
    )
    return RankCorrelations(rows)


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """ρ of each row of two arrays [rows n]; NaN where one side is constant."""
    a, b = rankdata(x, axis=1), rankdata(y, axis=1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    rho: np.ndarray = np.divide((a * b).sum(1), scale, out=np.full(len(a), np.nan), where=scale > 0)
    return rho


def _p_value(
    x: np.ndarray, y: np.ndarray, rho: float, draws: int, rng: np.random.Generator
) -> float:
    n = len(x)
    if n <= _EXACT:
        orders = np.array(list(itertools.permutations(range(n))))
    else:
        orders = rng.permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
    drawn = _spearman(x[orders], np.broadcast_to(y, orders.shape))
    extreme = int((np.abs(drawn) >= abs(rho) - 1e-12).sum())
    return extreme / len(orders) if n <= _EXACT else (1 + extreme) / (1 + len(orders))


def _interval(
    x: np.ndarray, y: np.ndarray, rho: float, draws: int, rng: np.random.Generator
) -> Interval:
    """Resamples of one edit only have no order, and are left out."""
    rows = rng.integers(0, len(x), (draws, len(x)))
    drawn = _spearman(x[rows], y[rows])
    low, high = percentile_bounds(drawn[~np.isnan(drawn)], 0.95)
    return Interval(float(rho), low, high)
