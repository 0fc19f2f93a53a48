"""Six metrics of a reader, and the same in every resample of the report texts.

Equal texts and seed give equal resamples, so that those of two readers can be subtracted one by
one: the difference is paired by text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import expit
from scipy.stats import norm

from bezoar.evaluate.contest_results import Difference
from bezoar.stats import Interval, auroc_interval, holm
from bezoar.stats.bootstrap import Groups, cluster_index, percentile_bounds, resample_counts

METRICS = ("auroc", "average_precision", "f1", "balanced_accuracy", "tpr_at_1", "calibration_error")
BINS = 15
MAX_FPR = 0.01
_CALIBRATED_DRAWS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A reader's decisions on the report texts, and what comes of them.

    Attributes:
        decisions: [n] log-odds.
        values: of each metric.
        samples: [resamples 6] of each resample that holds both classes.
        labels: [n] 0/1.
        groups: texts that are drawn together.
    """

    decisions: Float64[np.ndarray, " n"]
    values: dict[str, float]
    samples: Float64[np.ndarray, "resamples metrics"]
    labels: Int[np.ndarray, " n"]
    groups: Groups | None

    def interval(self, metric: str) -> Interval:
        """Of a metric: DeLong's for AUROC, else the percentile bootstrap."""
        if metric == "auroc":
            return auroc_interval(self.decisions, self.labels, self.groups)
        column = self.samples[:, METRICS.index(metric)]
        low, high = percentile_bounds(column[np.isfinite(column)], 0.95)
        return Interval(self.values[metric], low, high)


def judged(
    decisions: Float64[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    threshold: float,
    groups: Groups | None = None,
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> Verdict:
    """Measure decisions (calibrated log-odds), whole and in every resample.

    Args:
        decisions: one a text.
        labels: 0/1.
        threshold: from which on F1 and balanced accuracy flag a text.
        groups: texts that are drawn together.
        resamples, seed: of the bootstrap.
    """
    samples = resampled(decisions, labels, threshold, groups, resamples, seed)
    values = dict(zip(METRICS, samples[0].tolist(), strict=True))
    return Verdict(decisions, values, samples[1:], labels, groups)


def resampled(
    decisions: Float64[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    threshold: float,
    groups: Groups | None,
    resamples: int,
    seed: int,
) -> Float64[np.ndarray, "rows metrics"]:
    """``METRICS`` [1 + resamples 6], first of the texts as they are; NaN without both classes."""
    # Imported here: numba takes a second, and who only reads results does without.
    from bezoar.evaluate.contest_loops import measure

    order = np.argsort(-decisions, kind="stable")
    falling = decisions[order]
    last = np.append(falling[1:] != falling[:-1], True)
    cluster = cluster_index(groups, len(labels))
    given = (order, last, labels.astype(np.int64), decisions >= threshold, expit(decisions))
    whole = np.empty((1, len(METRICS)))
    measure(np.ones((1, len(labels))), *given, BINS, MAX_FPR, whole)
    found = [whole]
    for counts in resample_counts(int(cluster.max()) + 1, resamples, seed):
        out = np.empty((len(counts), len(METRICS)))
        drawn = counts if groups is None else counts[:, cluster]
        measure(drawn, *given, BINS, MAX_FPR, out)
        found.append(out)
    return np.concatenate(found)


def calibrated_error(decisions: Float64[np.ndarray, " n"], seed: int = 0) -> float:
    """The mean calibration error of these probabilities if labels are drawn from them.

    With finitely many texts even a perfect calibration has an error, which this says how large.
    """
    p = expit(decisions)
    index = np.minimum((p * BINS).astype(int), BINS - 1)
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(_CALIBRATED_DRAWS):
        y = rng.random(len(p)) < p
        errors.append(np.abs(np.bincount(index, weights=p - y, minlength=BINS)).sum() / len(p))
    return float(np.mean(errors))


def difference(name_a: str, a: Verdict, name_b: str, b: Verdict, metric: str) -> Difference:
    """``a − b`` in one metric, paired by text; not adjusted for others yet."""
    column = METRICS.index(metric)
    drawn = a.samples[:, column] - b.samples[:, column]
    drawn = drawn[np.isfinite(drawn)]
    low, high = percentile_bounds(drawn, 0.95)
    value = a.values[metric] - b.values[metric]
    return Difference(name_a, name_b, metric, Interval(value, low, high), _p(value, drawn), 1.0)


def adjusted(differences: list[Difference]) -> tuple[Difference, ...]:
    """The same with Holm's p over all of each metric."""
    told = list(differences)
    for metric in dict.fromkeys(one.metric for one in differences):
        places = [i for i, one in enumerate(differences) if one.metric == metric]
        for i, p in zip(places, holm([differences[i].p for i in places]), strict=True):
            one = differences[i]
            told[i] = Difference(one.a, one.b, one.metric, one.interval, one.p, float(p))
    return tuple(told)


def _p(value: float, drawn: Float64[np.ndarray, " resamples"]) -> float:
    error = float(drawn.std())
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * norm.sf(abs(value) / error))
