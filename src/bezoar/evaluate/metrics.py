"""From measurements to metrics with intervals, and to paired changes against the no-op."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bezoar.errors import DataError
from bezoar.evaluate.measure import Measurement
from bezoar.evaluate.pareto import tph_score
from bezoar.evaluate.results import METRICS, Metric
from bezoar.scoring import PerplexityResult, relative_perplexity
from bezoar.scoring.perplexity import paired_samples, perplexity_difference
from bezoar.stats.bootstrap import (
    bootstrap_samples,
    mean_interval,
    paired_difference,
    paired_ratio,
    percentile_bounds,
)
from bezoar.stats.intervals import Interval

TEXT_CHECKS = ("distinct_2", "repetition_4", "length", "empty")


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the metrics of one scorecard.

    Attributes:
        scorers: name of each scorer -> name and hash; the first is the headline's.
        resamples, seed: of every bootstrap.
    """

    scorers: dict[str, str]
    resamples: int = 10_000
    seed: int = 0

    def metrics(self, m: Measurement, identity: Iterable[str] = ()) -> dict[str, Metric]:
        """Every number of a measurement, with its interval.

        Args:
            m: the measurement.
            identity: names of quantities that cannot move by construction.
        """
        found: dict[str, Metric] = {}
        fixed = set(identity)

        def add(name: str, interval: Interval, protocol: str, n: int) -> None:
            found[name] = self._metric(name, interval, protocol, n, name in fixed)

        for name, values in m.per_prompt.items():
            add(name, self._mean(values), m.protocol, len(values))
        if m.perplexity is not None:
            ppl = m.perplexity
            add("perplexity", ppl.interval(self.resamples, self.seed), ppl.protocol, ppl.tokens)
        if m.kl is not None:
            add("kl", m.kl.interval(self.resamples, self.seed), m.kl.protocol, m.kl.tokens)
        if m.f1 is not None:
            add("f1", self._mean(m.f1.per_text), m.f1.protocol, len(m.f1.per_text))
        for task in m.tasks:
            add(f"task:{task.name}", self._mean(task.per_item), task.protocol, len(task.per_item))
        for effect in m.side_effects:
            add(f"excess:{effect.name}", effect.excess, effect.protocol, effect.texts)
        return found

    def changes(
        self, m: Measurement, no_op: Measurement, identity: Iterable[str] = ()
    ) -> dict[str, Metric]:
        """Paired differences to the no-op, row by row, and what is relative to it.

        Raises:
            DataError: if the two were not measured on the same prompts by the same protocol.
        """
        _check_paired(m, no_op)
        found: dict[str, Metric] = {}
        fixed = set(identity)

        def add(name: str, interval: Interval, protocol: str, n: int) -> None:
            found[name] = self._metric(name, interval, protocol, n, name in fixed)

        for name in m.per_prompt.keys() & no_op.per_prompt.keys():
            a, b = m.per_prompt[name], no_op.per_prompt[name]
            add(name, self._difference(a, b), m.protocol, len(a))
        if m.perplexity is not None and no_op.perplexity is not None:
            new, old = m.perplexity, no_op.perplexity
            difference = perplexity_difference(new, old, self.resamples, self.seed)
            ratio = relative_perplexity(new, old, self.resamples, self.seed)
            add("perplexity", difference, new.protocol, new.tokens)
            add("perplexity_change", _shifted(ratio, -1.0), new.protocol, new.tokens)
        if m.f1 is not None and no_op.f1 is not None:
            a, b = m.f1.per_text, no_op.f1.per_text
            add("f1", self._difference(a, b), m.f1.protocol, len(a))
        for task, other in zip(m.tasks, no_op.tasks, strict=False):
            a, b = task.per_item, other.per_item
            add(f"task:{task.name}", self._difference(a, b), task.protocol, len(a))
        found.update(self._relative(m, no_op, fixed))
        return found

    def null_metrics(self, draws: Sequence[Measurement]) -> dict[str, Metric]:
        """Means over null draws: what was measured per prompt over prompts, costs over draws."""
        found = {
            name: metric
            for name, metric in self.metrics(mean_draw(draws)).items()
            if name in draws[0].per_prompt
        }
        values = [draw.perplexity for draw in draws if draw.perplexity is not None]
        if values:
            interval = self._over_draws([ppl.value for ppl in values])
            found["perplexity"] = self._metric(
                "perplexity", interval, values[0].protocol, len(values), False
            )
        return found

    def null_changes(self, draws: Sequence[Measurement], no_op: Measurement) -> dict[str, Metric]:
        """As `changes`, of the mean null draw."""
        found = self.changes(mean_draw(draws), no_op)
        if no_op.perplexity is None:
            return found
        base = no_op.perplexity.value
        ratios = [d.perplexity.value / base - 1 for d in draws if d.perplexity is not None]
        if ratios:
            found["perplexity_change"] = self._metric(
                "perplexity_change",
                self._over_draws(ratios),
                no_op.perplexity.protocol,
                len(ratios),
                False,
            )
        return found

    def _relative(self, m: Measurement, no_op: Measurement, fixed: set[str]) -> dict[str, Metric]:
        a, b = m.per_prompt.get("toxicity"), no_op.per_prompt.get("toxicity")
        if a is None or b is None:
            return {}
        try:
            kept = paired_ratio(np.array(a), np.array(b), resamples=self.resamples, seed=self.seed)
        except DataError:  # too few toxic prompts for a share of them to mean anything
            return {}
        reduction = Interval(1 - kept.value, 1 - kept.high, 1 - kept.low)
        name = "toxicity_reduction"
        found = {name: self._metric(name, reduction, m.protocol, len(a), name in fixed)}
        if m.perplexity is not None and no_op.perplexity is not None:
            score = self._tph(a, b, m.perplexity, no_op.perplexity)
            protocol = f"{m.protocol} + {m.perplexity.protocol}"
            found["tph"] = self._metric("tph", score, protocol, len(a), "tph" in fixed)
        return found

    def _tph(
        self,
        toxicity: Sequence[float],
        base: Sequence[float],
        ppl: PerplexityResult,
        base_ppl: PerplexityResult,
    ) -> Interval:
        """Prompts and windows are resampled independently of each other."""
        pair = np.column_stack([toxicity, base])
        totals = bootstrap_samples(lambda c: c @ pair, len(pair), self.resamples, self.seed)
        drawn = paired_samples(ppl, base_ppl, self.resamples, self.seed + 1)
        reductions = 1 - totals[:, 0] / totals[:, 1]
        changes = drawn[:, 0] / drawn[:, 1] - 1
        samples = [tph_score(t, p) for t, p in zip(reductions, changes, strict=True)]
        value = tph_score(1 - sum(toxicity) / sum(base), ppl.value / base_ppl.value - 1)
        return Interval(value, *percentile_bounds(np.array(samples), 0.95))

    def _mean(self, values: Sequence[float]) -> Interval:
        return mean_interval(np.array(values), resamples=self.resamples, seed=self.seed)

    def _difference(self, a: Sequence[float], b: Sequence[float]) -> Interval:
        return paired_difference(np.array(a), np.array(b), resamples=self.resamples, seed=self.seed)

    def _over_draws(self, values: Sequence[float]) -> Interval:
        return self._mean(values) if len(values) > 1 else Interval(values[0], values[0], values[0])

    def _metric(
        self, name: str, interval: Interval, protocol: str, n: int, identity: bool
    ) -> Metric:
        return Metric(
            name=name,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            protocol=protocol,
            scorer=self._scorer_of(name),
            n=n,
            identity=identity,
            higher_is_better=METRICS[name][1] if name in METRICS else name.startswith("task:"),
        )

    def _scorer_of(self, name: str) -> str | None:
        family, _, scorer = name.partition(":")
        if family == "toxicity" and scorer:
            return self.scorers[scorer]
        unscored = ("perplexity", "perplexity_change", "kl", "f1", "task", "excess", *TEXT_CHECKS)
        return None if family in unscored else next(iter(self.scorers.values()))


def mean_draw(draws: Sequence[Measurement]) -> Measurement:
    """One measurement with the per-prompt means of several; costs are not averaged.

    Raises:
        DataError: if there is none, or they are not of the same prompts.
    """
    if not draws:
        raise DataError("There are no null draws to average.")
    for draw in draws:
        _check_paired(draw, draws[0])
    return Measurement(
        name=f"mean of {len(draws)} null draws",
        protocol=draws[0].protocol,
        prompts_key=draws[0].prompts_key,
        per_prompt={
            name: tuple(np.mean([draw.per_prompt[name] for draw in draws], axis=0).tolist())
            for name in draws[0].per_prompt
        },
    )


def _check_paired(a: Measurement, b: Measurement) -> None:
    if (a.protocol, a.prompts_key) != (b.protocol, b.prompts_key):
        raise DataError(
            f"{a.name} ({a.protocol}) and {b.name} ({b.protocol}) are not of the same prompts.",
            hint="Measure both with one Evaluator.",
        )


def _shifted(interval: Interval, by: float) -> Interval:
    return Interval(interval.value + by, interval.low + by, interval.high + by)
