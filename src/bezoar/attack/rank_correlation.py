"""Do statistics that need no attack predict what attacks leave?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from rich.table import Table
from scipy.stats import norm, rankdata

from bezoar.attack.attack import at_least
from bezoar.errors import DataError
from bezoar.runs.results import Result
from bezoar.stats import Interval, holm

LEAST = 4  # edits: of three, no order is rarer than 1 in 6
ALPHA = 0.05
_EXACT = 8  # edits up to which all orders are counted


@dataclass(frozen=True, slots=True)
class RankCorrelation(Result):
    """Spearman's ρ of one statistic with survival, over edits.

    Attributes:
        statistic: its name.
        rho: with an interval over edits (`spearman_interval`); None if all values are equal, or
            the edits are fewer than four.
        p: two-sided, by permutation (all orders of up to eight edits); None likewise.
        p_holm: corrected for the number of statistics.
        n: edits that have the statistic.
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

    def verdict(self) -> str:
        """Whether anything predicts survival, in one sentence."""
        told = [row for row in self.rows if row.p_holm is not None]
        if not told:
            n = max((row.n for row in self.rows), default=0)
            return f"Too few edits to tell: {n}, and at least {LEAST} that differ are needed."
        best = min(told, key=lambda row: row.p_holm or 0.0)
        name = best.statistic.replace("_", " ")
        if best.p_holm is not None and best.p_holm < ALPHA:
            return f"{name} predicts survival: ρ {best.rho}, Holm p {best.p_holm:.3f}, n {best.n}."
        rarest = 2 / math.factorial(best.n)
        could = "" if rarest < ALPHA / len(told) else " They are too few for it."
        return (
            f"No statistic predicts survival beyond chance over {best.n} edits; nearest {name}: ρ "
            f"{best.rho}, Holm p {best.p_holm:.3f}.{could}"
        )

    def __rich__(self) -> Table:
        title = "what predicts survival"
        columns = ("statistic", "ρ with survival", "p", "Holm", "edits")
        table = Table(*columns, title=title, caption=self.verdict())
        for row in self.rows:
            cells = ["too few" if row.n < LEAST else "all equal", "", ""]
            if row.rho is not None and row.p is not None and row.p_holm is not None:
                cells = [str(row.rho), f"{row.p:.3f}", f"{row.p_holm:.3f}"]
            table.add_row(row.statistic.replace("_", " "), *cells, str(row.n))
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
        statistics: name -> one value an edit; NaN where an edit has none, which leaves it out.
        survivals: a robustness score an edit, in the same order.
        draws: permutations beyond eight edits.
        seed: of those.

    Raises:
        DataError: for unequal lengths, or values that are not finite.
        ConfigError: for no draws.
    """
    at_least(1, draws=draws)
    y = np.asarray(survivals, dtype=np.float64)
    if y.ndim != 1 or not np.isfinite(y).all():
        raise DataError("A survival is not finite.", hint="Leave that edit out.")
    found: list[tuple[str, Interval | None, float | None, int]] = []
    for name, values in statistics.items():
        x = np.asarray(values, dtype=np.float64)
        if x.shape != y.shape:
            raise DataError(
                f"{name} has {x.size} values for {y.size} survivals.", hint="Give one each."
            )
        if np.isinf(x).any():
            raise DataError(f"{name} is not finite.", hint="Leave that edit out (NaN).")
        there = ~np.isnan(x)
        n = int(there.sum())
        rho = _spearman(x[there][None], y[there][None])[0] if n >= LEAST else math.nan
        if math.isnan(rho):
            found.append((name, None, None, n))
            continue
        p = _p_value(x[there], y[there], rho, draws, seed)
        found.append((name, spearman_interval(float(rho), n), p, n))
    adjusted = iter(holm([p for _, _, p, _ in found if p is not None]))
    rows = tuple(
        RankCorrelation(name, rho, p, None if p is None else float(next(adjusted)), n)
        for name, rho, p, n in found
    )
    return RankCorrelations(rows)


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """ρ of each row of two arrays [rows n]; NaN where one side is constant."""
    a, b = rankdata(x, axis=1), rankdata(y, axis=1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    rho: np.ndarray = np.divide((a * b).sum(1), scale, out=np.full(len(a), np.nan), where=scale > 0)
    return rho


def _p_value(x: np.ndarray, y: np.ndarray, rho: float, draws: int, seed: int) -> float:
    n = len(x)
    if n <= _EXACT:
        orders = np.array(list(itertools.permutations(range(n))))
    else:
        rng = np.random.default_rng(seed)  # the same orders, whatever stands beside
        orders = rng.permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
    drawn = _spearman(x[orders], np.broadcast_to(y, orders.shape))
    extreme = int((np.abs(drawn) >= abs(rho) - 1e-12).sum())
    return extreme / len(orders) if n <= _EXACT else (1 + extreme) / (1 + len(orders))


def spearman_interval(rho: float, n: int, confidence: float = 0.95) -> Interval:
    """Spearman's ρ of ``n`` pairs with ``tanh(atanh ρ ± z √((1 + ρ²/2) / (n − 3)))``.

    Fisher's z with the variance of Bonett and Wright (2000), Psychometrika 65, 23–28. A perfect
    order would have the width zero, though few pairs fall into one by luck. So ρ is taken there for
    no nearer to ±1 than half way to the next value that ranks can have, ``1 − 12 / (n³ − n)``; that
    also bounds what lies between, which only ties can make. The end at ρ itself stays.

    Of normal pairs this holds the true ρ about as often as it says, or oftener, from four pairs on
    and up to |ρ| of about 0.95; beyond that it is too narrow. (There a percentile bootstrap of five
    pairs holds it in six cases of ten.)

    Args:
        rho: in [-1, 1].
        n: pairs, at least four.
        confidence: of the interval.
    """
    rho = min(max(rho, -1.0), 1.0)  # of rounding
    most = 1 - 6 / (n**3 - n)
    near = min(max(rho, -most), most)
    half = float(norm.ppf((1 + confidence) / 2)) * math.sqrt((1 + near**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(near) - half), math.tanh(math.atanh(near) + half)
    return Interval(rho, min(low, rho), max(high, rho))
