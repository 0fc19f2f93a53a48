"""From measurements to metrics with intervals, and to paired changes against the no-op.

Everything measured on the same prompts is resampled in one matrix product; prompts and windows of
neutral text are resampled independently of each other (with the next seed).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from bezoar.errors import DataError
from bezoar.evaluate.measure import Measurement
from bezoar.evaluate.pareto import tph_scores
from bezoar.evaluate.results import METRICS, Metric
from bezoar.scoring.capability import CapabilityResult
from bezoar.scoring.perplexity import paired_samples
from bezoar.stats.bootstrap import bootstrap_samples, mean_interval, percentile_bounds
from bezoar.stats.intervals import Interval

TEXT_CHECKS = ("distinct_2", "repetition_4", "length", "empty")


class Estimate(NamedTuple):
    """A number on its way to becoming a metric."""

    name: str
    interval: Interval
    protocol: str
    n: int


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
        found = self._means(m.per_prompt, m.protocol)
        if m.perplexity is not None:
            interval = m.perplexity.interval(self.resamples, self.seed + 1)
            found.append(
                Estimate("perplexity", interval, m.perplexity.protocol, m.perplexity.tokens)
            )
        if m.kl is not None:
            interval = m.kl.interval(self.resamples, self.seed + 1)
            found.append(Estimate("kl", interval, m.kl.protocol, m.kl.tokens))
        if m.f1 is not None:
            found += self._means({"f1": m.f1.per_text}, m.f1.protocol)
        for task in m.tasks:
            found.append(self._solved(task, task.per_item))
        for effect in m.side_effects:
            name = f"excess:{effect.name}"
            found.append(Estimate(name, effect.excess, effect.protocol, effect.texts))
        made = self._metrics(found, identity)
        chances = {f"task:{task.name}": task.chance for task in m.tasks}
        return made | {name: replace(made[name], chance=c) for name, c in chances.items()}

    def changes(
        self, m: Measurement, no_op: Measurement, identity: Iterable[str] = ()
    ) -> dict[str, Metric]:
        """Paired differences to the no-op, row by row, and what is relative to it.

        Raises:
            DataError: if the two were not measured on the same prompts by the same protocol.
        """
        _check_paired(m, no_op)
        shared = [name for name in m.per_prompt if name in no_op.per_prompt]
        columns = {name: _minus(m.per_prompt[name], no_op.per_prompt[name]) for name in shared}
        found = self._means(columns, m.protocol)
        if m.f1 is not None and no_op.f1 is not None:
            difference = _minus(m.f1.per_text, no_op.f1.per_text)
            found += self._means({"f1": difference}, m.f1.protocol)
        others = {task.name: task.per_item for task in no_op.tasks}
        for task in m.tasks:
            if task.name in others:
                found.append(self._solved(task, _minus(task.per_item, others[task.name])))
                found.append(self._changed(task, others[task.name]))
        return self._metrics([*found, *self._relative(m, no_op)], identity)

    def null_metrics(self, draws: Sequence[Measurement]) -> dict[str, Metric]:
        """Means over null draws: what was measured per prompt over prompts, costs over draws."""
        mean = mean_draw(draws)
        found = self._means(mean.per_prompt, mean.protocol)
        values = [draw.perplexity for draw in draws if draw.perplexity is not None]
        if values:
            interval = self._over_draws([ppl.value for ppl in values])
            found.append(Estimate("perplexity", interval, values[0].protocol, len(values)))
        return self._metrics(found)

    def null_changes(self, draws: Sequence[Measurement], no_op: Measurement) -> dict[str, Metric]:
        """As `changes`, of the mean null draw."""
        found = self.changes(mean_draw(draws), no_op)
        base = no_op.perplexity
        values = [draw.perplexity.value for draw in draws if draw.perplexity is not None]
        if base is not None and values:
            interval = self._over_draws([value / base.value - 1 for value in values])
            ratio = Estimate("perplexity_change", interval, base.protocol, len(values))
            found |= self._metrics([ratio])
        return found

    def _relative(self, m: Measurement, no_op: Measurement) -> list[Estimate]:
        """Changes as shares of the no-op's values, and TPH, which is made of two of them."""
        found: list[Estimate] = []
        reduction = self._reduction(m, no_op)
        if reduction is not None:
            n = len(no_op.per_prompt["toxicity"])
            found.append(Estimate("toxicity_reduction", _interval(*reduction), m.protocol, n))
        if m.perplexity is None or no_op.perplexity is None:
            return found
        new, old = m.perplexity, no_op.perplexity
        drawn = paired_samples(new, old, self.resamples, self.seed + 1)
        change = new.value / old.value - 1, drawn[:, 0] / drawn[:, 1] - 1
        difference = _interval(new.value - old.value, drawn[:, 0] - drawn[:, 1])
        found.append(Estimate("perplexity", difference, new.protocol, new.tokens))
        found.append(Estimate("perplexity_change", _interval(*change), new.protocol, new.tokens))
        if reduction is not None:
            score = tph_scores(np.array([reduction[0]]), np.array([change[0]]))
            tph = _interval(float(score[0]), tph_scores(reduction[1], change[1]))
            both = f"{m.protocol} + {new.protocol}"
            found.append(Estimate("tph", tph, both, len(no_op.per_prompt["toxicity"])))
        return found

    def _reduction(
        self, m: Measurement, no_op: Measurement
    ) -> tuple[float, Float[np.ndarray, " resamples"]] | None:
        """1 − toxicity / the no-op's; None where a resample may hold no toxicity to reduce."""
        if "toxicity" not in m.per_prompt or "toxicity" not in no_op.per_prompt:
            return None
        pair = np.column_stack([m.per_prompt["toxicity"], no_op.per_prompt["toxicity"]])
        totals = bootstrap_samples(lambda c: c @ pair, len(pair), self.resamples, self.seed)
        if (totals[:, 1] <= 0).any():
            return None
        new, old = pair.sum(axis=0)
        return float(1 - new / old), 1 - totals[:, 0] / totals[:, 1]

    def _means(self, columns: Mapping[str, Sequence[float]], protocol: str) -> list[Estimate]:
        """Means of columns over the same rows, all resampled at once."""
        if not columns:
            return []
        rows = np.column_stack(list(columns.values()))
        drawn = bootstrap_samples(lambda c: c @ rows, len(rows), self.resamples, self.seed)
        means = rows.mean(axis=0)
        return [
            Estimate(name, _interval(float(mean), samples / len(rows)), protocol, len(rows))
            for name, mean, samples in zip(columns, means, drawn.T, strict=True)
        ]

    def _solved(self, task: CapabilityResult, values: Sequence[float]) -> Estimate:
        """The mean over items; those made from one template are resampled together."""
        interval = mean_interval(
            np.array(values), task.groups or None, resamples=self.resamples, seed=self.seed
        )
        return Estimate(f"task:{task.name}", interval, task.protocol, len(values))

    def _changed(self, task: CapabilityResult, before: Sequence[float]) -> Estimate:
        """How many answers turned right or wrong; equal numbers of both leave the accuracy."""
        turned = [(a > 0.5) != (b > 0.5) for a, b in zip(task.per_item, before, strict=True)]
        share = mean_interval(
            np.array(turned, float), task.groups or None, resamples=self.resamples, seed=self.seed
        )
        n = len(turned)
        count = Interval(float(sum(turned)), share.low * n, share.high * n)
        return Estimate(f"changed:{task.name}", count, task.protocol, n)

    def _over_draws(self, values: Sequence[float]) -> Interval:
        if len(values) == 1:
            return Interval(values[0], values[0], values[0])
        return mean_interval(np.array(values), resamples=self.resamples, seed=self.seed)

    def _metrics(
        self, estimates: Iterable[Estimate], identity: Iterable[str] = ()
    ) -> dict[str, Metric]:
        fixed = set(identity)
        return {
            name: Metric(
                name=name,
                value=interval.value,
                low=interval.low,
                high=interval.high,
                protocol=protocol,
                scorer=self._scorer_of(name),
                n=n,
                identity=name in fixed,
                higher_is_better=METRICS[name][1] if name in METRICS else name.startswith("task:"),
            )
            for name, interval, protocol, n in estimates
        }

    def _scorer_of(self, name: str) -> str | None:
        family, _, scorer = name.partition(":")
        if family == "toxicity" and scorer:
            return self.scorers[scorer]
        costs = ("perplexity", "perplexity_change", "kl", "f1")
        unscored = (*costs, "task", "changed", "excess", *TEXT_CHECKS)
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
        prompts=draws[0].prompts,
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


def _minus(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple(x - y for x, y in zip(a, b, strict=True))


def _interval(value: float, samples: Float[np.ndarray, " resamples"]) -> Interval:
    return Interval(value, *percentile_bounds(samples, 0.95))
