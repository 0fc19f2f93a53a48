"""From the winner of a contest to a detector: fit, calibrate, set the threshold, measure.

The training texts are parted once more, groups whole. The larger part fits the weights; the other,
which they have not seen, calibrates them and sets the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.stats import beta

from bezoar.errors import ConfigError, DataError
from bezoar.evaluate.contest_fit import Task
from bezoar.evaluate.contest_readers import Reader
from bezoar.evaluate.contest_results import ContestRow
from bezoar.locate.logistic import platt
from bezoar.stats import Interval, auroc_interval, grouped_folds
from bezoar.stats.bootstrap import Groups, cluster_index

_PARTS = 5
"""One of so many parts of the training texts calibrates."""
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Weights of raw features and what they were measured to do; see `DetectorInfo`.

    Attributes:
        features: numbers of those with a weight.
        weights: of these.
        flagged: which report texts are.
    """

    features: Int[np.ndarray, " k"]
    weights: Float64[np.ndarray, " k"]
    intercept: float
    threshold: float
    false_alarms: Interval
    hits: Interval
    calibration: tuple[int, int]
    reported_false_alarms: Interval
    reported_hits: Interval
    auroc: Interval
    flagged: Bool[np.ndarray, " report"]


def fit_detector(
    task: Task, reader: Reader, row: ContestRow, *, sparse: tuple[int, ...], false_alarms: float
) -> Fitted:
    """Fit the row of a contest anew, on four fifths of the training texts.

    Args:
        task: the texts, not balanced: calibration needs the share of labels that there is.
        reader: of the row.
        row: whose kind and penalty are taken.
        sparse: sizes of the contest's k-sparse readers.
        false_alarms: the rate that the threshold is set for.

    Raises:
        ConfigError: if the rate is none.
        DataError: if too few texts calibrate.
    """
    if not 0 < false_alarms < 1:
        raise ConfigError(
            f"A rate of false alarms of {false_alarms}.", hint="Give a share, such as 0.01."
        )
    y = task.labels
    fit, aside = _parted(task)
    table = reader.table(len(y), fit)
    way = next(way for way in reader.ways(table, sparse) if way.kind == row.kind)
    penalty = np.array([row.penalty if row.penalty is not None else 1.0])
    w, b = way.weights(fit, y[fit][:, None], penalty, final=True)
    raw, shift = table.raw(w[:, 0, 0], float(b[0, 0]))

    def decided(texts: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        z = table.take(texts) @ w[:, 0, 0].astype(np.float32)
        return np.asarray(z, dtype=np.float64) + float(b[0, 0])

    z = decided(aside)
    slope, level = platt(z, y[aside])
    z = slope * z + level
    ones = y[aside] == 1
    groups = None if task.groups is None else task.groups[aside]
    negatives = z[~ones]
    negatives = negatives[one_of_each(_some(groups, ~ones), len(negatives), task.seed)]
    threshold, expected = threshold_at(negatives, false_alarms)
    new = slope * decided(task.report) + level
    flagged, wrong = new > threshold, task.report_labels == 0
    used = np.flatnonzero(raw)
    return Fitted(
        features=used,
        weights=slope * raw[used],
        intercept=slope * shift + level,
        threshold=threshold,
        false_alarms=expected,
        hits=share(z[ones] > threshold, _some(groups, ones)),
        calibration=(len(negatives), int(ones.sum())),
        reported_false_alarms=share(flagged[wrong], _some(task.report_groups, wrong)),
        reported_hits=share(flagged[~wrong], _some(task.report_groups, ~wrong)),
        auroc=auroc_interval(new, task.report_labels, task.report_groups),
        flagged=flagged,
    )


def threshold_at(negatives: Float64[np.ndarray, " n"], rate: float) -> tuple[float, Interval]:
    """The least threshold with an expected rate of false alarms of at most ``rate``, and the rate.

    With the (m + 1)-th largest of n negatives as threshold the rate of new ones above it has the
    distribution Beta(m + 1, n − m), whatever that of the decisions (Wilks 1941; ties make it less).
    Its mean (m + 1) / (n + 1) is kept below ``rate``; where n is too small for any, the largest
    negative is taken, and the rate is what is returned.
    """
    n = len(negatives)
    m = max(0, int(np.floor(rate * (n + 1) + 1e-9)) - 1)
    low, high = beta.ppf([(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2], m + 1, n - m)
    value = float(np.sort(negatives)[::-1][m])
    return value, Interval((m + 1) / (n + 1), float(low), float(high))


def one_of_each(groups: Groups | None, n: int, seed: int) -> Int[np.ndarray, " some"]:
    """One row of each group, drawn by chance: draws that know nothing of each other.

    Rows of one group repeat one another, and a threshold is set by few of the largest: a family of
    ten among them would promise what one text can. What is promised of the rows that are left is
    exact for new groups (Dunn, Wasserman & Ramdas 2022).
    """
    shuffled = np.random.default_rng(seed).permutation(n)
    _, first = np.unique(cluster_index(groups, n)[shuffled], return_index=True)
    return np.sort(shuffled[first])


def share(hits: np.ndarray, groups: Groups | None = None) -> Interval:
    """A share with its exact interval (Clopper & Pearson 1934).

    With groups it is that of as many independent rows as would have the share's variance between
    groups (Korn & Graubard 1998); where there is none, as many as there are groups.
    """
    n, value = len(hits), float(np.mean(hits))
    cluster = cluster_index(groups, n)
    between = float((np.bincount(cluster, weights=hits - value) ** 2).sum()) / n**2
    rows = min(float(n), value * (1 - value) / between) if between else float(cluster.max() + 1)
    tail, k = (1 - _CONFIDENCE) / 2, value * rows
    low = float(beta.ppf(tail, k, rows - k + 1)) if value > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, rows - k)) if value < 1 else 1.0
    return Interval(value, low, high)


def _some(groups: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if groups is None else groups[rows]


def _parted(task: Task) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " n"]]:
    """Training texts to fit on, and to calibrate on; groups stay whole, labels even."""
    y = task.train_labels
    groups = np.arange(len(y)) if task.groups is None else task.groups[task.train]
    fold = grouped_folds(groups.tolist(), min(_PARTS, len(set(groups.tolist()))), y, task.seed)
    fit, aside = task.train[fold != 0], task.train[fold == 0]
    for part in (fit, aside):
        if np.bincount(task.labels[part], minlength=2).min() < 2:
            raise DataError(
                f"{len(y)} training texts leave {len(aside)} to calibrate on, of one label.",
                hint="Give more texts of both labels.",
            )
    return fit, aside
