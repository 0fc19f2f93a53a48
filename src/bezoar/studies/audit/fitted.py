"""What the mitigate stage leaves of a method: its fit, how it was sought, and its nulls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bezoar.mitigate import BudgetTrace
from bezoar.runs import Result

NEAR = 0.8
"""Of the method's cost: nulls below it, on average, are said to be cheaper."""


@dataclass(frozen=True, slots=True)
class NullFit(Result):
    """Null edits of a method: of which kind, held equal in what, how strong and how dear each is.

    A draw that no strength makes as cheap as the method has the strength None, and is left out.
    ``target`` is the cost of the method on the text that its nulls' costs are taken on.
    """

    kind: str
    equal: str
    strengths: tuple[float | None, ...]
    costs: tuple[float | None, ...] = ()
    target: float = 0.0

    @property
    def share(self) -> float | None:
        """What the draws came to of the method's cost, on average; None where it was not sought."""
        costs = [cost for cost in self.costs if cost is not None]
        return float(np.mean(costs)) / self.target if costs and self.target > 0 else None

    @property
    def label(self) -> str:
        cheap = self.share is not None and self.share < NEAR
        return f"{self.kind}, {'lower' if cheap else 'equal'} {self.equal}"


@dataclass(frozen=True, slots=True)
class FittedMethod(Result):
    """A method at the strength that the budget allows.

    Attributes:
        name: its folder below ``edits``.
        spec: what `parse_method` reads.
        label: for people.
        strength, cost: what was chosen, on the selection half.
        foldable, fold_reason: whether it becomes plain weights, and if not, why.
        logit_change: largest change of a next-token logit in the self-test.
        select_toxicity: the protocol's statistic by scorer A, mean over the selection prompts.
        nulls: its null edits.
    """

    name: str
    spec: str
    label: str
    strength: float
    cost: float
    foldable: bool
    fold_reason: str
    logit_change: float
    select_toxicity: float
    nulls: tuple[NullFit, ...]


@dataclass(frozen=True, slots=True)
class Attempt(Result):
    """What came of fitting one method: the fit, or why there is none.

    Attributes:
        fitted: the method at its strength, its nulls not yet drawn.
        trace: how the strength was found, or sought in vain.
        short_cost: cost on the shorter text, which its nulls have to match.
        failed: why it could not be had.
    """

    fitted: FittedMethod | None = None
    trace: BudgetTrace | None = None
    short_cost: float = 0.0
    failed: str = ""
