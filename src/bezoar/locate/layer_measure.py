"""What every layer is measured with: the same resamples, the same shuffled labels, the lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from bezoar.locate.clusters import silhouettes
from bezoar.locate.layer_results import ClusterScore
from bezoar.locate.sweep_inputs import Pair, Task
from bezoar.stats import (
    Interval,
    Placements,
    auroc,
    auroc_samples,
    joint_groups,
    null_p_value,
    shuffled_labels,
    text_key,
)
from bezoar.stats.bootstrap import percentile_bounds, resample_counts
from bezoar.stats.matching import bands, matched_rows

FEWEST = 10
"""Texts of each class that there is any sense in parting."""
_BAND = 0.1  # texts whose lengths differ by less count as equally long

Measured = tuple[float, Float64[np.ndarray, " resamples"]]
"""A value on the test texts, and in each resample of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """The test texts, as every layer is measured on them.

    Attributes:
        labels: 0/1.
        groups: texts that are drawn together.
        long: whether a text has more tokens than the median; None if all are of one length.
        equal: rows of which either class has as many of every length; empty if they are too few.
        shuffled: the labels of the null.
        resamples, sample, seed: of bootstrap and silhouettes.
    """

    labels: Int[np.ndarray, " test"]
    groups: list[int]
    long: Int[np.ndarray, " test"] | None
    equal: Int[np.ndarray, " some"]
    shuffled: Int[np.ndarray, "draws test"]
    resamples: int
    sample: int
    seed: int

    @classmethod
    def of(cls, task: Task, pair: Pair, null_draws: int, sample: int) -> Measure:
        test, labels = task.test_corpus, task.test_labels
        keys = [text_key(text) for text in test.texts]
        groups = joint_groups(keys, *([test.group] if test.group is not None else []))
        lengths = pair.stores[1].lengths[pair.slices[1]]
        shuffled = shuffled_labels(labels, null_draws, task.seed)
        equal = matched_rows(bands(lengths, _BAND), labels, task.seed)
        kept = equal if len(equal) >= 2 * FEWEST else equal[:0]
        sizes = (task.resamples, sample, task.seed)
        return cls(labels, groups.tolist(), _long(lengths), kept, shuffled, *sizes)

    def auroc(self, scores: Float64[np.ndarray, " test"]) -> Measured:
        """AUROC of scores, or of verdicts as 0 and 1."""
        drawn = auroc_samples(
            scores, self.labels, self.groups, resamples=self.resamples, seed=self.seed
        )
        return auroc(scores, self.labels), drawn

    def equal_length(self, hard: Bool[np.ndarray, " test"]) -> Interval | None:
        """AUROC of verdicts on texts of equal length."""
        if not len(self.equal):
            return None
        groups = [self.groups[row] for row in self.equal]
        verdicts = hard[self.equal].astype(np.float64)[:, None]
        return Placements.of(verdicts, self.labels[self.equal], groups).interval()

    def null(self, hard: Bool[np.ndarray, " test"]) -> Float64[np.ndarray, " draws"]:
        """Matched AUROC of verdicts under each shuffled labelling."""
        share = self.shuffled @ hard.astype(np.float64) / self.labels.sum()
        rest = (1 - self.shuffled) @ hard.astype(np.float64) / (1 - self.labels).sum()
        found: np.ndarray = 0.5 + np.abs(share - rest) / 2
        return found

    def silhouette(
        self, rows: Float[np.ndarray, "test d"], hard: Bool[np.ndarray, " test"]
    ) -> Measured | None:
        """Mean silhouette of two clusters of a sample; None where it holds one only."""
        values = silhouettes(rows, hard.astype(np.int64), self.sample, self.seed)
        some = np.isfinite(values)
        if not some.any():
            return None
        groups = np.array(self.groups)
        weights = [
            np.bincount(groups[some], weights=part, minlength=int(groups.max()) + 1)
            for part in (values[some], np.ones(int(some.sum())))
        ]
        counts = resample_counts(len(weights[0]), self.resamples, self.seed)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = [(part @ weights[0]) / (part @ weights[1]) for part in counts]
        return float(values[some].mean()), np.concatenate(drawn)

    def cluster(
        self, hard: Bool[np.ndarray, " test"], found: Measured, silhouette: Measured | None
    ) -> tuple[ClusterScore, Float64[np.ndarray, " draws"]]:
        """What is told of a cluster, and its null."""
        value, drawn = found
        matched = 0.5 + abs(value - 0.5), 0.5 + np.abs(drawn - 0.5)
        null = self.null(hard)
        length = None if self.long is None else auroc(hard.astype(np.float64), self.long)
        score = ClusterScore(
            auroc=interval(found),
            matched=interval(matched),
            null_mean=float(null.mean()),
            null_high=float(np.quantile(null, 0.95)),
            null_p=null_p_value(matched[0], null),
            silhouette=None if silhouette is None else silhouette[0],
            length_auroc=None if length is None else 0.5 + abs(length - 0.5),
            share=float(hard.mean()),
            equal_length=self.equal_length(hard),
        )
        return score, null


def _long(lengths: np.ndarray) -> Int[np.ndarray, " test"] | None:
    """Longer than the median; or as long, where half of the texts are as long as they may be."""
    for long in (lengths > np.median(lengths), lengths >= np.median(lengths)):
        if 0 < long.sum() < len(long):
            return long.astype(np.int64)
    return None


def interval(found: Measured) -> Interval:
    """The percentile interval of the resamples that hold both classes."""
    value, drawn = found
    return Interval(value, *percentile_bounds(drawn[np.isfinite(drawn)], 0.95))
