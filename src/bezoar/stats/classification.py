"""How well a score separates two classes.

Everything is read off one curve: rows sorted by falling score, tied scores entering together, and
the running counts of true and false positives (Fawcett 2006). The same functions of that curve
serve the point estimates and, with bootstrap counts as weights, all resamples at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

from bezoar.errors import DataError
from bezoar.stats.bootstrap import Groups, bootstrap_samples, cluster_index, percentile_bounds
from bezoar.stats.intervals import Interval

Floats = np.ndarray | np.float64
"""One number, or one a resample."""


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """P(score of a positive > score of a negative) + ½ P(equal): Mann-Whitney's U / (m n)."""
    return float(_Curve.of(scores, labels).auroc())


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """``Σ (R_k − R_{k−1}) P_k`` over the distinct thresholds, without interpolation."""
    return float(_Curve.of(scores, labels).average_precision())


def tpr_at_fpr(scores: ArrayLike, labels: ArrayLike, max_fpr: float = 0.01) -> float:
    """The highest true positive rate among thresholds with a false positive rate ≤ ``max_fpr``."""
    return float(_Curve.of(scores, labels).tpr_at_fpr(max_fpr))


def balanced_accuracy(scores: ArrayLike, labels: ArrayLike, threshold: float = 0.5) -> float:
    """``(TPR + TNR) / 2`` when ``score ≥ threshold`` says positive (0/1 predictions serve too)."""
    return float(_Curve.of(scores, labels).balanced_accuracy(threshold))


def majority_rate(labels: ArrayLike) -> float:
    """The accuracy of always naming the commoner class."""
    return float(np.bincount(binary_labels(labels)).max() / np.size(labels))


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """``mean (p − y)²`` (Brier 1950): 0 is perfect, 0.25 what always saying ½ gets."""
    p, y = _probabilities(probabilities, labels)
    return float(np.mean((p - y) ** 2))


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error ``Σ_b (n_b / n) |mean p − mean y|`` in equal-width bins.

    Guo et al. 2017, eq. 3, for the probability of the positive class.
    """
    p, y = _probabilities(probabilities, labels)
    index = np.minimum((p * bins).astype(int), bins - 1)
    gap = np.bincount(index, weights=p - y, minlength=bins)
    return float(np.abs(gap).sum() / len(p))


def auroc_interval(
    scores: ArrayLike, labels: ArrayLike, groups: Groups | None = None, confidence: float = 0.95
) -> Interval:
    """AUROC with the interval of DeLong et al. 1988, clustered by ``groups`` (Obuchowski 1997).

    A perfect separation has no DeLong variance; there Newcombe's (2006) score interval, a group
    counting as one row, says how far below 1 the truth may still be. A score that is the same for
    every row has one half whichever rows are drawn: its interval is that one point.
    """
    curve = _Curve.of(scores, labels)
    if len(curve.ends) == 1:
        return Interval(0.5, 0.5, 0.5)
    positive, negative = _placements(curve.scores, curve.labels)
    value = float(positive.mean())
    variance = _covariance(curve.labels, (positive, negative), (positive, negative), groups)
    if variance <= 1e-15:
        cluster = cluster_index(groups, len(curve.labels))
        m, n = (len(np.unique(cluster[side])) for side in (curve.labels, ~curve.labels))
        return _newcombe(value, m, n, confidence)
    half = _z(confidence) * variance**0.5
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def paired_auroc_difference(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    groups: Groups | None = None,
    confidence: float = 0.95,
) -> Interval:
    """``AUROC(a) − AUROC(b)`` on the same rows: DeLong et al. 1988, clusters as Obuchowski 1997."""
    a, b = _Curve.of(scores_a, labels), _Curve.of(scores_b, labels)
    place_a, place_b = _placements(a.scores, a.labels), _placements(b.scores, b.labels)
    difference = (place_a[0] - place_b[0], place_a[1] - place_b[1])
    value = float(difference[0].mean())
    half = _z(confidence) * max(_covariance(a.labels, difference, difference, groups), 0.0) ** 0.5
    return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def classification_intervals(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Groups | None = None,
    *,
    threshold: float = 0.5,
    max_fpr: float = 0.01,
    confidence: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> dict[str, Interval]:
    """``auroc`` (DeLong), ``average_precision``, ``balanced_accuracy`` and ``tpr_at_fpr`` together.

    The last three by percentile bootstrap over rows, or over ``groups``; resamples that hold one
    class only say nothing about a classifier and are left out.
    """
    curve = _Curve.of(scores, labels)
    cluster = cluster_index(groups, len(curve.labels))
    metrics = ("average_precision", "balanced_accuracy", "tpr_at_fpr")

    def all_metrics(counts: np.ndarray) -> np.ndarray:
        drawn = curve.weighted(counts[:, cluster])
        return np.stack(list(drawn.metrics(threshold, max_fpr)), axis=-1)

    with np.errstate(invalid="ignore", divide="ignore"):
        samples = bootstrap_samples(all_metrics, int(cluster.max()) + 1, resamples, seed)
    samples = samples[np.isfinite(samples).all(axis=-1)]
    if len(samples) < resamples // 2:
        raise DataError(
            "Most resamples hold one class only.",
            hint="Give more rows, or groups of the rarer class.",
        )
    result = {"auroc": auroc_interval(scores, labels, groups, confidence)}
    for column, (name, value) in enumerate(
        zip(metrics, curve.metrics(threshold, max_fpr), strict=True)
    ):
        low, high = percentile_bounds(samples[:, column], confidence)
        result[name] = Interval(float(value), low, high)
    return result


@dataclass(frozen=True, slots=True)
class _Curve:
    """Cumulative true and false positives [... k] at k distinct thresholds, falling."""

    scores: np.ndarray
    labels: np.ndarray
    order: np.ndarray
    ends: np.ndarray  # the last place, in that order, of each distinct score
    tp: np.ndarray
    fp: np.ndarray

    @classmethod
    def of(cls, scores: ArrayLike, labels: ArrayLike) -> _Curve:
        x, y = _scores_and_labels(scores, labels)
        order = np.argsort(-x, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(x[order])), len(x) - 1)
        true = y[order].astype(np.float64)
        return cls(x, y, order, ends, np.cumsum(true)[ends], np.cumsum(1 - true)[ends])

    def weighted(self, weights: np.ndarray) -> _Curve:
        """The curve of each row of weights [chunk n]."""
        sorted_weights = weights[:, self.order]
        true = np.cumsum(sorted_weights * self.labels[self.order], axis=-1)[:, self.ends]
        both = np.cumsum(sorted_weights, axis=-1)[:, self.ends]
        return _Curve(self.scores, self.labels, self.order, self.ends, true, both - true)

    def metrics(self, threshold: float, max_fpr: float) -> tuple[Floats, ...]:
        return (
            self.average_precision(),
            self.balanced_accuracy(threshold),
            self.tpr_at_fpr(max_fpr),
        )

    def auroc(self) -> Floats:
        before = np.concatenate([np.zeros_like(self.tp[..., :1]), self.tp[..., :-1]], axis=-1)
        new_fp = np.diff(self.fp, axis=-1, prepend=0)
        area = (new_fp * (before + self.tp)).sum(axis=-1) / 2
        return area / (self.tp[..., -1] * self.fp[..., -1])

    def average_precision(self) -> Floats:
        precision = self.tp / np.maximum(self.tp + self.fp, 1)
        gained = np.diff(self.tp, axis=-1, prepend=0)
        return (gained * precision).sum(axis=-1) / self.tp[..., -1]

    def tpr_at_fpr(self, max_fpr: float) -> Floats:
        total = self.fp[..., -1:]
        # 1e-12: "≤ 1 %" of 100 negatives allows one, whatever 0.01 rounds to.
        allowed = self.fp <= max_fpr * total + 1e-12 * total
        return np.where(allowed, self.tp, 0).max(axis=-1) / self.tp[..., -1]

    def balanced_accuracy(self, threshold: float) -> Floats:
        at = np.searchsorted(-self.scores[self.order][self.ends], -threshold, side="right") - 1
        tp = self.tp[..., at] if at >= 0 else np.zeros_like(self.tp[..., -1])
        fp = self.fp[..., at] if at >= 0 else np.zeros_like(self.fp[..., -1])
        return (tp / self.tp[..., -1] + 1 - fp / self.fp[..., -1]) / 2


def _placements(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's structural components: each row's share of the other class on its right side.

    By mid-ranks in O(n log n), as Sun & Xu 2014.
    """
    ranks = rankdata(scores)
    positives, negatives = scores[labels], scores[~labels]
    of_positive = (ranks[labels] - rankdata(positives)) / len(negatives)
    of_negative = 1 - (ranks[~labels] - rankdata(negatives)) / len(positives)
    return of_positive, of_negative


def _covariance(
    labels: np.ndarray,
    a: tuple[np.ndarray, np.ndarray],
    b: tuple[np.ndarray, np.ndarray],
    groups: Groups | None,
) -> float:
    """Covariance of two AUROCs from their placements (Obuchowski 1997, eq. 2-4)."""
    cluster = cluster_index(groups, len(labels))
    k = int(cluster.max()) + 1

    def sums(place: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        centred = np.empty(len(labels))
        centred[labels] = (place[0] - place[0].mean()) / len(place[0])
        centred[~labels] = (place[1] - place[1].mean()) / len(place[1])
        return (
            np.bincount(cluster[labels], weights=centred[labels], minlength=k),
            np.bincount(cluster[~labels], weights=centred[~labels], minlength=k),
        )

    (a_pos, a_neg), (b_pos, b_neg) = sums(a), sums(b)
    with_pos, with_neg = len(set(cluster[labels])), len(set(cluster[~labels]))
    if with_pos < 2 or with_neg < 2:
        raise DataError(
            f"{with_pos} groups hold positives and {with_neg} hold negatives.",
            hint="An interval needs at least two of each.",
        )
    within = (a_pos @ b_pos) * with_pos / (with_pos - 1) + (a_neg @ b_neg) * with_neg / (
        with_neg - 1
    )
    across = (a_pos @ b_neg + a_neg @ b_pos) * k / (k - 1)
    return float(within + across)


def _newcombe(value: float, m: int, n: int, confidence: float) -> Interval:
    """Newcombe 2006 (part 2, method 5): |θ − value| = z √V(θ), V that of Hanley & McNeil 1982."""
    z, others = _z(confidence), (m + n) / 2 - 1

    def excess(theta: float) -> float:
        shape = 1 + others * (1 - theta) / (2 - theta) + others * theta / (1 + theta)
        return (theta - value) ** 2 - z**2 * theta * (1 - theta) * shape / (m * n)

    inside = 1e-9
    low = brentq(excess, inside, value - inside) if value > 2 * inside else 0.0
    high = brentq(excess, value + inside, 1 - inside) if value < 1 - 2 * inside else 1.0
    return Interval(value, float(low), float(high))


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise DataError(f"confidence is {confidence}.", hint="Give a share, such as 0.95.")
    return float(norm.ppf((1 + confidence) / 2))


def binary_labels(labels: ArrayLike) -> np.ndarray:
    """Labels [n] as booleans.

    Raises:
        DataError: if they are not all 0 or 1, or there are none.
    """
    y = np.asarray(labels)
    if y.ndim != 1 or y.size == 0 or not np.isin(y, (0, 1)).all():
        seen = sorted({str(v) for v in y.ravel().tolist()})[:6]
        raise DataError(f"Labels are {seen}.", hint="Give one 0 or 1 (False or True) a row.")
    return y.astype(bool)


def _scores_and_labels(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(scores, dtype=np.float64), binary_labels(labels)
    if x.shape != y.shape:
        seen = f"Scores have shape {x.shape} and labels {y.shape}."
        raise DataError(seen, hint="Give one of each a row.")
    if nans := int(np.isnan(x).sum()):
        raise DataError(f"{nans} scores are NaN.", hint="Find out why; drop none.")
    if y.all() or not y.any():
        raise DataError(
            f"All {len(y)} labels are {int(y[0])}.", hint="Separation needs rows of both classes."
        )
    return x, y


def _probabilities(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probabilities, dtype=np.float64), binary_labels(labels).astype(np.float64)
    if p.shape != y.shape or not ((p >= 0) & (p <= 1)).all():
        raise DataError(
            f"Probabilities of shape {p.shape} for {len(y)} labels.",
            hint="Give one number in [0, 1] a row.",
        )
    return p, y
