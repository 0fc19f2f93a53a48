"""Texts parted in two without their labels: by k-means, by a hierarchy, or by one number each.

Clusters are found on training rows, and a further row belongs to the nearest centre. Which of the
two is the behaviour is not for clusters to say: see `bezoar.locate.layer_experts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float64, Int
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import silhouette_samples

from bezoar.errors import ConfigError, did_you_mean

Linkage = Literal["ward", "average", "complete"]

_STARTS = 10  # of k-means, the best of which counts
_ROUNDING = 1e-6  # of the largest value: rows that differ by less are one point


@dataclass(frozen=True, slots=True, eq=False)
class TwoClusters:
    """Centres [k d] of clusters: two, or one where all rows are the same point."""

    centres: Float64[np.ndarray, "k d"]

    def assign(self, rows: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        """0 or 1: the number of the nearer centre; 0 for all where there is one."""
        shifted = rows.astype(np.float64) - self.centres[0]
        others = self.centres - self.centres[0]
        distance = (others**2).sum(axis=1) - 2 * shifted @ others.T
        nearest: np.ndarray = distance.argmin(axis=1)
        return nearest


def k_means(rows: Float[np.ndarray, "n d"], seed: int = 0) -> TwoClusters:
    """The two centres with the least squared distance to their rows, the best of ten starts."""
    if _one_point(rows):
        return TwoClusters(rows[:1].astype(np.float64))
    found = KMeans(n_clusters=2, n_init=_STARTS, random_state=seed).fit(rows.astype(np.float64))
    return TwoClusters(found.cluster_centers_)


def hierarchical(
    rows: Float[np.ndarray, "n d"], linkage: Linkage = "ward", most: int = 1_000, seed: int = 0
) -> TwoClusters:
    """Rows joined from the bottom up until two clusters are left.

    Time and memory grow with the square of the rows, so at most ``most`` of them are drawn.

    Raises:
        ConfigError: for an unknown linkage.
    """
    if linkage not in get_args(Linkage):
        hint = did_you_mean(linkage, get_args(Linkage))
        raise ConfigError(f"There is no linkage {linkage!r}.", hint=hint)
    some = rows[drawn_rows(len(rows), most, seed)].astype(np.float64)
    if _one_point(some):
        return TwoClusters(some[:1])
    names = AgglomerativeClustering(n_clusters=2, linkage=linkage).fit_predict(some)
    return TwoClusters(np.stack([some[names == name].mean(axis=0) for name in (0, 1)]))


def silhouettes(
    rows: Float[np.ndarray, "n d"], names: Int[np.ndarray, " n"], most: int = 1_000, seed: int = 0
) -> Float64[np.ndarray, " n"]:
    """Each row's silhouette (Rousseeuw 1987), ``(b − a) / max(a, b)``, in a drawn sample of rows.

    NaN for rows that were not drawn, and for all where the sample holds one cluster only.
    """
    found = np.full(len(rows), np.nan)
    some = drawn_rows(len(rows), most, seed)
    if 2 <= len(np.unique(names[some])) < len(some):
        found[some] = silhouette_samples(rows[some].astype(np.float64), names[some])
    return found


def halved(rows: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, " k"]:
    """For each column the cut that 2-means in one dimension makes: exact, in one sort.

    The best cut of sorted values maximises ``n₁ n₂ (m₁ − m₂)²``. A value belongs to the upper
    cluster if it is above the cut; a constant column has all its values below.
    """
    x = np.sort(rows.astype(np.float64), axis=0)
    n = len(x)
    sums = np.cumsum(x, axis=0)
    below = np.arange(1, n)[:, None]
    gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / (n - below)
    between = below * (n - below) * gap**2
    between[x[1:] <= x[:-1]] = -1.0  # equal values are not parted
    at = between.argmax(axis=0)
    column = np.arange(x.shape[1])
    parted = between[at, column] >= 0
    return np.where(parted, (x[at, column] + x[at + 1, column]) / 2, x[-1])


def drawn_rows(n: int, most: int, seed: int) -> Int[np.ndarray, " some"]:
    """All rows, or ``most`` of them drawn by the seed, in their order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _one_point(rows: np.ndarray) -> bool:
    """Whether all rows are the same but for rounding."""
    return bool(np.ptp(rows, axis=0).max() <= _ROUNDING * max(float(np.abs(rows).max()), 1e-30))
