"""The mean AUROC of many scores of the same rows, and how much it differs from another's.

DeLong et al. 1988 write an AUROC as a mean over rows: the *placement* of a row is the share of the
other class on its right side. Placements of several scores can be averaged row by row, so the mean
AUROC of ten thousand neurons has the same kind of interval as that of one score, and a difference
of two such means is paired by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Shaped
from numpy.typing import ArrayLike
from scipy.stats import norm, rankdata

from bezoar.errors import DataError
from bezoar.stats.bootstrap import Groups, cluster_index, resample_counts
from bezoar.stats.classification import _covariance, _Curve, auroc_interval, binary_labels
from bezoar.stats.intervals import Interval

_COLUMNS = 1024  # ranked at once
_NO_VARIANCE = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Placements:
    """Placements of rows, averaged over scores.

    Attributes:
        positive, negative: of the rows of either class, in the order of the rows.
        labels: [n] of all rows.
        groups: cluster of each row, or None.
    """

    positive: Float64[np.ndarray, " m"]
    negative: Float64[np.ndarray, " l"]
    labels: Shaped[np.ndarray, " n"]
    groups: Groups | None = None

    @classmethod
    def of(
        cls,
        scores: Float[np.ndarray, "n k"],
        labels: ArrayLike,
        groups: Groups | None = None,
        *,
        signs: Float[np.ndarray, " k"] | None = None,
    ) -> Placements:
        """Of the columns of scores.

        Args:
            scores: one row a text.
            labels: 0/1, [n].
            groups: rows that are drawn together.
            signs: −1 for a column whose *small* values speak for the behaviour.

        Raises:
            DataError: if shapes disagree, a class is missing, a score is NaN, or there is no
                column.
        """
        y = binary_labels(labels)
        if scores.ndim != 2 or len(scores) != len(y) or not scores.shape[1]:
            raise DataError(
                f"Scores of shape {scores.shape} for {len(y)} labels.",
                hint="Give one row a label, and at least one column.",
            )
        if y.all() or not y.any() or np.isnan(scores).any():
            raise DataError(
                f"{int(y.sum())} of {len(y)} labels are 1, {int(np.isnan(scores).sum())} scores "
                "are NaN.",
                hint="Separation needs rows of both classes, and numbers.",
            )
        k = scores.shape[1]
        sign = np.ones(k) if signs is None else np.where(np.asarray(signs) < 0, -1.0, 1.0)
        totals = np.zeros(int(y.sum())), np.zeros(int((~y).sum()))
        for first in range(0, k, _COLUMNS):
            block = slice(first, first + _COLUMNS)
            turned = scores[:, block].astype(np.float64) * sign[block]
            for total, part in zip(totals, _of_columns(turned, y), strict=True):
                total += part
        return cls(totals[0] / k, totals[1] / k, y, groups)

    @classmethod
    def mean(cls, some: Sequence[Placements]) -> Placements:
        """The mean of several, each counting alike; rows and groups are those of the first."""
        positive = np.mean([one.positive for one in some], axis=0)
        negative = np.mean([one.negative for one in some], axis=0)
        return cls(positive, negative, some[0].labels, some[0].groups)

    @property
    def auroc(self) -> float:
        """The mean AUROC."""
        return float(self.positive.mean())

    def interval(self, confidence: float = 0.95) -> Interval:
        """The mean AUROC with its interval: DeLong et al. 1988, clusters as Obuchowski 1997."""
        parts = (self.positive, self.negative)
        variance = _covariance(self.labels, parts, parts, self.groups)
        if variance <= _NO_VARIANCE and self.auroc in (0.0, 1.0):
            decided = np.where(self.labels, self.auroc, 1 - self.auroc)
            return auroc_interval(decided, self.labels, self.groups, confidence)
        half = _half(variance, confidence)
        return Interval(self.auroc, max(0.0, self.auroc - half), min(1.0, self.auroc + half))

    def minus(self, other: Placements, confidence: float = 0.95) -> Interval:
        """The difference of two mean AUROCs of the same rows, paired by row.

        Raises:
            DataError: if the other is of other labels.
        """
        if not np.array_equal(self.labels, other.labels):
            raise DataError("The two are of rows with other labels.", hint="Pair the same rows.")
        parts = (self.positive - other.positive, self.negative - other.negative)
        value = float(parts[0].mean())
        half = _half(_covariance(self.labels, parts, parts, self.groups), confidence)
        return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def auroc_samples(
    scores: Float[np.ndarray, " n"],
    labels: ArrayLike,
    groups: Groups | None = None,
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> Float64[np.ndarray, " resamples"]:
    """AUROC of one score in each bootstrap resample of rows, or of ``groups``.

    Equal ``(number of groups, resamples, seed)`` give equal resamples, so those of several scores
    can be compared one by one. In a resample of one class it is NaN.
    """
    curve = _Curve.of(scores, labels)
    cluster = cluster_index(groups, len(curve.labels))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [
            curve.weighted(counts[:, cluster]).auroc()
            for counts in resample_counts(int(cluster.max()) + 1, resamples, seed)
        ]
    return np.concatenate([np.atleast_1d(part) for part in drawn]).astype(np.float64)


def _of_columns(
    scores: Float64[np.ndarray, "n k"], y: np.ndarray
) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " l"]]:
    """Sums over columns of the placements of positives and of negatives, by mid-ranks."""
    ranks = rankdata(scores, axis=0)
    positive = (ranks[y] - rankdata(scores[y], axis=0)) / int((~y).sum())
    negative = 1 - (ranks[~y] - rankdata(scores[~y], axis=0)) / int(y.sum())
    return positive.sum(axis=1), negative.sum(axis=1)


def _half(variance: float, confidence: float) -> float:
    if not 0 < confidence < 1:
        raise DataError(f"confidence is {confidence}.", hint="Give a share, such as 0.95.")
    return float(norm.ppf((1 + confidence) / 2)) * max(variance, 0.0) ** 0.5
