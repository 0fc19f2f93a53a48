"""What was measured text by text rather than prompt by prompt, kept so that two runs can be paired.

The file is small: sums by window, text or item, no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bezoar.evaluate import Measurement
from bezoar.runs.results import Result
from bezoar.scoring import CapabilityResult, Divergence, Overlap, PerplexityResult, Task
from bezoar.scoring.perplexity import paired_samples
from bezoar.stats.bootstrap import paired_difference, percentile_bounds
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class Rows(Result):
    """The rows of one variant; fields as in `Measurement`."""

    perplexity: PerplexityResult | None
    kl: Divergence | None
    f1: Overlap | None
    tasks: tuple[CapabilityResult, ...]


@dataclass(frozen=True, slots=True)
class PerText(Result):
    """Rows by variant, with what says whether those of another run are of the same texts.

    Attributes:
        neutral: hash of the neutral text.
        tasks: hash of the items of each task, by its name.
        variants: name of each variant -> its rows.
    """

    neutral: str = ""
    tasks: dict[str, str] | None = None
    variants: dict[str, Rows] | None = None

    @classmethod
    def of(
        cls, measured: Mapping[str, Measurement], neutral: str, tasks: Sequence[Task]
    ) -> PerText:
        """Of measurements by variant, on neutral text of this hash and these tasks."""
        rows = {name: Rows(m.perplexity, m.kl, m.f1, m.tasks) for name, m in measured.items()}
        return cls(neutral, {task.name: task.hash for task in tasks}, rows)

    def difference(
        self, other: PerText, variant: str, metric: str, resamples: int, seed: int
    ) -> tuple[Interval, int] | None:
        """``other`` − self with its 95 % interval, and how many rows are paired.

        None where either lacks the metric, or the two are not of the same texts.
        """
        a, b = (side.variants.get(variant) if side.variants else None for side in (self, other))
        if a is None or b is None:
            return None
        family, _, name = metric.partition(":")
        if family == "task":
            mine, theirs = (side.tasks.get(name) if side.tasks else None for side in (self, other))
            return _task(a, b, name, resamples, seed) if mine and mine == theirs else None
        if not self.neutral or self.neutral != other.neutral:
            return None
        if family == "perplexity":
            return _perplexity(a.perplexity, b.perplexity, resamples, seed)
        if family == "kl":
            return _kl(a.kl, b.kl, resamples, seed)
        return _f1(a.f1, b.f1, resamples, seed) if family == "f1" else None


def _task(a: Rows, b: Rows, name: str, resamples: int, seed: int) -> tuple[Interval, int] | None:
    old, new = (next((t for t in side.tasks if t.name == name), None) for side in (a, b))
    if old is None or new is None or len(old.per_item) != len(new.per_item):
        return None
    groups = old.groups or None
    rows = np.array(new.per_item), np.array(old.per_item)
    return paired_difference(*rows, groups, resamples=resamples, seed=seed), len(rows[0])


def _perplexity(
    a: PerplexityResult | None, b: PerplexityResult | None, resamples: int, seed: int
) -> tuple[Interval, int] | None:
    if a is None or b is None or (a.protocol, a.counts) != (b.protocol, b.counts):
        return None
    drawn = paired_samples(b, a, resamples, seed)
    bounds = percentile_bounds(drawn[:, 0] - drawn[:, 1], 0.95)
    return Interval(b.value - a.value, *bounds), len(a.counts)


def _kl(
    a: Divergence | None, b: Divergence | None, resamples: int, seed: int
) -> tuple[Interval, int] | None:
    if a is None or b is None or (a.protocol, a.counts) != (b.protocol, b.counts):
        return None
    counts = np.array(a.counts)
    rows = np.array(b.per_text) / counts, np.array(a.per_text) / counts
    return paired_difference(*rows, weights=counts, resamples=resamples, seed=seed), len(counts)


def _f1(
    a: Overlap | None, b: Overlap | None, resamples: int, seed: int
) -> tuple[Interval, int] | None:
    if a is None or b is None or (a.protocol, len(a.per_text)) != (b.protocol, len(b.per_text)):
        return None
    rows = np.array(b.per_text), np.array(a.per_text)
    return paired_difference(*rows, resamples=resamples, seed=seed), len(rows[0])
