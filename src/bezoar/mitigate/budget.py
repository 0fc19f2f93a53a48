"""Find the strength that a stated cost allows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bezoar.edits import Edit
from bezoar.errors import BudgetError, ConfigError
from bezoar.mitigate.method import FitInputs, Method
from bezoar.models import LanguageModel
from bezoar.runs.results import Result, one_line

if TYPE_CHECKING:
    from rich.table import Table

Outcome = Literal["within tolerance", "at the largest strength", "evaluations spent"]

_STEP = (2.0, 32.0)  # least and most that one step out multiplies or divides the strength by
_NOISE = 0.02  # of the budget: a dip smaller than this is no dip


@dataclass(frozen=True, slots=True)
class BudgetPoint(Result):
    """A strength that was tried; ``cost`` is None where it was infinite or no number."""

    strength: float
    cost: float | None


@dataclass(frozen=True, slots=True, repr=False)
class BudgetTrace(Result):
    """How a strength was found.

    Attributes:
        method: its spec.
        budget: the cost allowed.
        points: everything tried, in order.
        strength, cost: what was chosen; None if no strength met the budget.
        monotone: whether cost never fell as strength rose. If not, the chosen strength is the
            largest one below which no tried strength broke the budget.
        outcome: how the search ended.
    """

    method: str
    budget: float
    points: tuple[BudgetPoint, ...]
    strength: float | None
    cost: float | None
    monotone: bool
    outcome: Outcome

    def __rich__(self) -> Table:
        from rich.table import Table

        shape = "" if self.monotone else ", not monotone"
        title = f"{self.method}: cost at most {self.budget:g} ({self.outcome}{shape})"
        table = Table("strength", "cost", "", title=title)
        for point in sorted(self.points, key=lambda p: p.strength):
            cost = "∞" if point.cost is None else f"{point.cost:.4f}"
            table.add_row(
                f"{point.strength:.4g}", cost, "chosen" if point.strength == self.strength else ""
            )
        return table


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fitted:
    """An edit at the strength that a budget allows."""

    edit: Edit
    method: Method
    trace: BudgetTrace

    __repr__ = one_line

    @property
    def strength(self) -> float:
        return self.method.strength


def fit_to_budget(
    lm: LanguageModel,
    method: Method,
    inputs: FitInputs,
    cost: Callable[[Edit], float],
    budget: float = 0.05,
    max_evaluations: int = 8,
    strength_max: float | None = None,
    tolerance: float | Sequence[float] = 0.1,
    start: float | None = None,
) -> Fitted:
    """The strongest edit that costs at most ``budget``, in a few evaluations of the cost.

    The strength is multiplied until the budget is passed (by as much as the costs so far suggest),
    or divided until it is met; then the gap is closed by interpolating between the two sides, and
    halved where that fails. A search ends within ``tolerance`` of the budget, at the largest
    strength, or when the evaluations are spent.

    Args:
        lm: the model.
        method: what to fit; its own strength is not used.
        inputs: what it is fitted from.
        cost: of an edit: a relative rise of perplexity, 0 for no edit. Infinite or NaN means that
            the edit has broken the model.
        budget: the largest cost allowed.
        max_evaluations: of ``cost``.
        strength_max: overrides the method's own.
        tolerance: a cost above ``(1 − tolerance) · budget`` is near enough; of several, the i-th
            after so many evaluations, and the last from there on.
        start: the first strength to try; the method's own ``strength_start`` if None.

    Raises:
        BudgetError: if no strength that was tried met the budget; its ``trace`` holds them all.
    """
    limit = method.strength_max if strength_max is None else strength_max
    strength = min(method.strength_start if start is None else start, limit)
    if not (budget > 0 and max_evaluations >= 1 and 0 < strength < math.inf):
        raise ConfigError(
            f"A budget of {budget:g} in {max_evaluations} evaluations from strength {strength:g} "
            "cannot be searched.",
            hint="All three must be positive, and the strength finite.",
        )
    steps = (tolerance,) if isinstance(tolerance, float | int) else tuple(tolerance)
    search = _Search(lm, method, inputs, cost, budget, steps)
    while len(search.points) < max_evaluations:
        search.evaluate(strength)
        if search.done(limit):
            break
        strength = search.next(limit)
    return search.result(limit)


class _Search:
    def __init__(
        self,
        lm: LanguageModel,
        method: Method,
        inputs: FitInputs,
        cost: Callable[[Edit], float],
        budget: float,
        tolerances: tuple[float, ...],
    ) -> None:
        self.lm, self.method, self.inputs, self.cost = lm, method, inputs, cost
        self.budget, self.tolerances = budget, tolerances
        self.points: list[BudgetPoint] = []

    @property
    def tolerance(self) -> float:
        return self.tolerances[min(max(len(self.points), 1), len(self.tolerances)) - 1]

    def evaluate(self, strength: float) -> None:
        cost = float(self.cost(self.method.with_strength(strength).fit(self.lm, self.inputs)))
        self.points.append(BudgetPoint(strength, cost if math.isfinite(cost) else None))

    def meets(self, point: BudgetPoint) -> bool:
        return point.cost is not None and point.cost <= self.budget

    def bracket(self) -> tuple[BudgetPoint | None, BudgetPoint | None]:
        """The strongest point that meets the budget and the weakest that breaks it.

        The first is always below the second: each new strength lies between the two, or beyond
        the only one there is.
        """
        below = [p for p in self.points if self.meets(p)]
        above = [p for p in self.points if not self.meets(p)]
        return (
            max(below, key=lambda p: p.strength, default=None),
            min(above, key=lambda p: p.strength, default=None),
        )

    def done(self, limit: float) -> bool:
        below, _ = self.bracket()
        if below is None or below.cost is None:
            return False
        return below.strength >= limit or below.cost >= (1 - self.tolerance) * self.budget

    def next(self, limit: float) -> float:
        below, above = self.bracket()
        if above is None:
            assert below is not None
            return min(below.strength * self._step(below), limit)
        if below is None:
            return above.strength / self._step(above)
        return self._between(below, above)

    def _step(self, point: BudgetPoint) -> float:
        """The factor by which to leave ``point``, which is the last on its side of the budget."""
        least, most = _STEP
        if point.cost is None or point.cost <= 0:
            return math.sqrt(least * most)
        factor = (self.budget / point.cost) ** (1 / self._exponent())
        return min(max(factor, 1 / factor, least), most)

    def _exponent(self) -> float:
        """Of cost as a power of strength, from the last two points; 2 where they do not say."""
        if len(self.points) < 2:
            return 2.0
        (s, a), (t, b) = ((p.strength, p.cost) for p in self.points[-2:])
        if a is None or b is None or not (a > 0 and b > 0):
            return 2.0
        return min(max(math.log(b / a) / math.log(t / s), 0.25), 8.0)

    def _between(self, below: BudgetPoint, above: BudgetPoint) -> float:
        """A power law through both points, aimed just under the budget; the middle if it fails."""
        low, high = math.log(below.strength), math.log(above.strength)
        share = 0.5
        usable = below.cost is not None and below.cost > 0 and above.cost is not None
        # Twice on one side: the curve bends away from a power law, so halve the gap instead.
        stuck = self.meets(self.points[-1]) == self.meets(self.points[-2])
        if usable and not stuck:
            assert below.cost is not None
            assert above.cost is not None
            aim = math.log((1 - self.tolerance / 2) * self.budget)
            rise = math.log(above.cost) - math.log(below.cost)
            share = min(max((aim - math.log(below.cost)) / rise, 0.1), 0.9)
        return math.exp(low + share * (high - low))

    def result(self, limit: float) -> Fitted:
        chosen, _ = self.bracket()
        if chosen is None or chosen.cost is None:
            outcome: Outcome = "evaluations spent"
        elif chosen.cost >= (1 - self.tolerance) * self.budget:
            outcome = "within tolerance"
        elif chosen.strength >= limit:
            outcome = "at the largest strength"
        else:
            outcome = "evaluations spent"
        trace = BudgetTrace(
            method=self.method.spec,
            budget=self.budget,
            points=tuple(self.points),
            strength=None if chosen is None else chosen.strength,
            cost=None if chosen is None else chosen.cost,
            monotone=self._monotone(),
            outcome=outcome,
        )
        if chosen is None:
            least = min(self.points, key=lambda p: p.strength)
            error = BudgetError(
                f"No strength of {self.method.spec} costs at most {self.budget:g}: the smallest "
                f"tried, {least.strength:.3g}, costs "
                f"{'∞' if least.cost is None else format(least.cost, '.3g')}.",
                hint="Allow a larger budget, or more evaluations.",
            )
            error.trace = trace
            raise error
        method = self.method.with_strength(chosen.strength)
        return Fitted(method.fit(self.lm, self.inputs), method, trace)

    def _monotone(self) -> bool:
        ordered = sorted(self.points, key=lambda p: p.strength)
        costs = [math.inf if p.cost is None else p.cost for p in ordered]
        slack = _NOISE * self.budget
        return all(b >= a - slack for a, b in itertools.pairwise(costs))
