"""Which methods no other one beats on both toxicity and cost, and how sure that is.

Every method is a point: its toxicity as a share of the no-op's, and by how much it raises
perplexity as a share of a stated limit. The hyper-volume of some points is the area between them
and the corner (1, 1), where toxicity is what it was and the limit is spent: 1 would be no toxicity
at no cost. A perplexity that falls earns nothing. What a method adds is the area that only it
covers; prompts, and windows of neutral text, are resampled for all methods together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from rich.table import Table

from bezoar.errors import ConfigError
from bezoar.evaluate.measure import Measurement
from bezoar.runs.results import Result
from bezoar.scoring.perplexity import paired_samples
from bezoar.stats.bootstrap import bootstrap_samples, percentile_bounds
from bezoar.stats.intervals import Interval

LIMIT = 0.10
"""Rise of perplexity that counts as all that may be spent, unless another one is given."""


@dataclass(frozen=True, slots=True)
class FrontPoint(Result):
    """One method.

    Attributes:
        method, label: as in a `MethodRow`.
        toxicity: its share of the no-op's.
        perplexity_change: as a share of the no-op's.
        alone: hyper-volume of this point by itself.
        added: what the front of all methods loses without it.
        on_front: share of resamples in which it adds anything.
    """

    method: str
    label: str
    toxicity: float
    perplexity_change: float
    alone: Interval
    added: Interval
    on_front: float


@dataclass(frozen=True, slots=True, repr=False)
class Front(Result):
    """The front of all methods.

    Attributes:
        limit: the rise of perplexity at which nothing is left.
        protocol: of toxicity and of perplexity.
        total: hyper-volume of all methods together.
        points: every method, the one that adds most first.
    """

    limit: float
    protocol: str
    total: Interval
    points: tuple[FrontPoint, ...]

    def __rich__(self) -> Table:
        title = f"hyper-volume below perplexity +{self.limit:.0%}: {self.total.value:.3f}"
        table = Table(title=title, caption=self.protocol, box=None, padding=(0, 2, 0, 0))
        table.add_column("method")
        for name in ("alone", "added", "on the front"):
            table.add_column(name, justify="right", no_wrap=True)
        for p in self.points:
            added = f"{p.added.value:.3f} [{p.added.low:.3f}, {p.added.high:.3f}]"
            table.add_row(p.label, f"{p.alone.value:.3f}", added, f"{p.on_front:.0%}")
        return table


def front_of(
    methods: Sequence[tuple[str, str, Measurement]],
    no_op: Measurement,
    *,
    limit: float = LIMIT,
    resamples: int = 10_000,
    seed: int = 0,
) -> Front | None:
    """The front of measured methods.

    Args:
        methods: name, label and measurement of each.
        no_op: what they are compared with.
        limit: the rise of perplexity at which a method covers nothing.
        resamples, seed: of the bootstrap.

    Returns:
        None without a method, toxicity or perplexity, or where a resample may hold no toxicity.

    Raises:
        ConfigError: if the limit is not positive.
        DataError: if the measurements are not of the same prompts and text.
    """
    if not limit > 0:
        raise ConfigError(
            f"limit={limit} leaves no room for a cost.", hint="0.1 counts up to +10 % perplexity."
        )
    base = no_op.perplexity
    placed = [m for m in methods if m[2].perplexity and "toxicity" in m[2].per_prompt]
    if not placed or base is None or "toxicity" not in no_op.per_prompt:
        return None
    columns = np.column_stack([m.per_prompt["toxicity"] for m in (no_op, *(m for *_, m in placed))])
    totals = bootstrap_samples(lambda c: c @ columns, len(columns), resamples, seed)
    if (totals[:, 0] <= 0).any():
        return None
    toxicity = totals[:, 1:] / totals[:, :1]
    drawn = [
        paired_samples(m.perplexity, base, resamples, seed + 1)
        for *_, m in placed
        if m.perplexity is not None
    ]
    cost = np.column_stack([pair[:, 0] / pair[:, 1] - 1 for pair in drawn])
    own = columns.sum(0)[1:] / columns.sum(0)[0]
    paid = np.array([m.perplexity.value / base.value - 1 for *_, m in placed if m.perplexity])
    # The estimate itself goes first, then its resamples: one computation for both.
    x = np.vstack([paid, cost]) / limit
    y = np.vstack([own, toxicity])
    points = []
    for i, (method, label, _) in enumerate(placed):
        alone, added = hypervolumes(x[:, [i]], y[:, [i]]), _lost_without(x, y, i)
        points.append(
            FrontPoint(
                method,
                label,
                float(own[i]),
                float(paid[i]),
                _interval(alone),
                _interval(added),
                float((added[1:] > 0).mean()),
            )
        )
    points.sort(key=lambda p: (-p.added.value, -p.alone.value))
    protocol = f"{no_op.protocol} + {base.protocol}"
    return Front(limit, protocol, _interval(hypervolumes(x, y)), tuple(points))


def hypervolumes(
    x: Float[np.ndarray, "sets points"], y: Float[np.ndarray, "sets points"]
) -> Float[np.ndarray, " sets"]:
    """The area that each set of points dominates within the unit square; less is better in both.

    As `bezoar.evaluate.hypervolume` with the reference (1, 1), for many sets at once and with
    negative coordinates taken for 0.
    """
    inside = (x < 1) & (y < 1)
    x, y = np.where(inside, x.clip(min=0), 1.0), np.where(inside, y.clip(min=0), 1.0)
    order = np.argsort(x, axis=1, kind="stable")
    x = np.take_along_axis(x, order, axis=1)
    lowest = np.minimum.accumulate(np.take_along_axis(y, order, axis=1), axis=1)
    widths = np.diff(x, axis=1, append=1.0)
    return np.asarray((widths * (1 - lowest)).sum(axis=1))


def _lost_without(
    x: Float[np.ndarray, "sets points"], y: Float[np.ndarray, "sets points"], i: int
) -> Float[np.ndarray, " sets"]:
    """What each set loses without its point number i; rounding is no loss."""
    rest = [j for j in range(x.shape[1]) if j != i]
    lost = hypervolumes(x, y) - hypervolumes(x[:, rest], y[:, rest])
    return np.where(lost > 1e-12, lost, 0.0)


def _interval(values: Float[np.ndarray, " sets"]) -> Interval:
    low, high = percentile_bounds(values[1:], 0.95)
    # Adding an area is never negative, so an estimate of 0 is at the end of its interval.
    return Interval(float(values[0]), min(low, float(values[0])), max(high, float(values[0])))
