"""From the winner of a contest to a detector: fit, calibrate, set the threshold, measure.

The training texts are parted once more. The larger part fits the weights; the other, which they
have not seen, calibrates them and sets the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from scipy.stats import beta

from bezoar.errors import ConfigError, DataError
from bezoar.evaluate.contest_fit import Task
from bezoar.evaluate.contest_readers import Reader
from bezoar.evaluate.contest_results import ContestRow
from bezoar.locate.logistic import platt
from bezoar.stats import Interval, auroc_interval, grouped_folds

_PARTS = 5
"""One of so many parts of the training texts calibrates."""
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Weights of raw features and what they were measured to do; see `DetectorInfo`.

    Attributes:
        features: numbers of those with a weight.
        weights: of these.
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
    threshold, expected = threshold_at(z[y[aside] == 0], false_alarms)
    new = slope * decided(task.report) + level
    used = np.flatnonzero(raw)
    return Fitted(
        features=used,
        weights=slope * raw[used],
        intercept=slope * shift + level,
        threshold=threshold,
        false_alarms=expected,
        hits=share(z[y[aside] == 1] > threshold),
        calibration=(int((y[aside] == 0).sum()), int(y[aside].sum())),
        reported_false_alarms=share(new[task.report_labels == 0] > threshold),
        reported_hits=share(new[task.report_labels == 1] > threshold),
        auroc=auroc_interval(new, task.report_labels, task.report_groups),
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


def share(hits: np.ndarray) -> Interval:
    """A share with its exact interval (Clopper & Pearson 1934)."""
    n, k = len(hits), int(hits.sum())
    tail = (1 - _CONFIDENCE) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Interval(k / n, low, high)


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
