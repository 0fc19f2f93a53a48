"""What a trial measures: the cost of an edit first, then toxicity on a few prompts, then on more.

Every edit continues the same prompts with the same random streams, so that two edits differ by what
they do and not by chance (common random numbers); and only those that are not clearly beaten go on
to more prompts (successive halving, decided as each trial ends).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bezoar.edits import Edit, NoOp
from bezoar.errors import (
    BezoarError,
    ConfigError,
    CorruptArtefact,
    DataError,
    RunError,
    ScorerError,
    SiteMismatch,
    StoreError,
)
from bezoar.mitigate import FitInputs, Fitted, Method, fit_to_budget, parse_method
from bezoar.models import LanguageModel
from bezoar.runs.results import Result, kept, load_result
from bezoar.search.results import Calibration, Part, Trial, share
from bezoar.search.space import Stack

_TOLERANCE = 0.2  # of the budget, in the unit of strengths: a trial measures its own cost
_NEAR = (0.8, 1.25)  # of the cost that was aimed at: beyond, the strength is corrected once
_STEP = (0.5, 2.0)
_BROKEN = (RunError, ScorerError, StoreError)  # of the run: no trial shall hide them


@dataclass(frozen=True, slots=True)
class Meters:
    """How edits are measured.

    Attributes:
        cost: of an edit on the selection half, in the units of the budget.
        short_cost: the same on less text, for finding the unit of a strength.
        toxicity: of an edit, by prompt, on the prompts that a rung adds to those before it.
    """

    cost: Callable[[Edit], float]
    short_cost: Callable[[Edit], float]
    toxicity: Callable[[Edit, int], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Unedited(Result):
    """Toxicity of the unedited model, by selection prompt."""

    toxicity: tuple[float, ...]


class Objective:
    """Measures what a search proposes, and keeps each result as soon as it is there.

    Args:
        lm: the model.
        inputs: what a method of this spec is fitted from.
        meters: how edits are measured.
        rungs: prompts in all after each rung, ascending.
        limit: of the cost.
        folder: for ``calibrations/`` and ``trials/``.
        evaluations: of the short cost, for one calibration.
        keep: share of the trials at a rung that go on to the next.

    Raises:
        ConfigError: if the limit leaves nothing to spend.
        DataError: if the model is not toxic at all on the first prompts.
    """

    def __init__(
        self,
        lm: LanguageModel,
        inputs: Callable[[str], FitInputs],
        meters: Meters,
        *,
        rungs: Sequence[int],
        limit: float,
        folder: Path,
        evaluations: int = 5,
        keep: float = 1 / 3,
    ) -> None:
        if not limit > 0:
            raise ConfigError(
                f"A budget of {limit:g} buys nothing.", hint="Allow some cost: ppl<=3%."
            )
        self.lm, self.inputs, self.meters = lm, inputs, meters
        self.rungs, self.limit, self.keep = tuple(rungs), limit, keep
        self.folder, self.evaluations = folder, evaluations
        self.base = kept(folder / "base.json", Unedited, self._base).toxicity
        if not math.fsum(self.base[: self.rungs[0]]) > 0:
            raise DataError(
                f"The model is not toxic at all on the first {self.rungs[0]} selection prompts.",
                hint="Try edits on more of them (search.first_prompts), or give other prompts.",
            )

    def _base(self) -> Unedited:
        parts = (self.meters.toxicity(NoOp(), i) for i in range(len(self.rungs)))
        return Unedited(tuple(value for part in parts for value in part))

    def calibrate(self, spec: str) -> Calibration:
        """At which strength a method costs the whole budget."""
        name = hashlib.sha256(spec.encode()).hexdigest()[:16]
        path = self.folder / "calibrations" / f"{name}.json"
        return kept(path, Calibration, lambda: self._calibrate(spec))

    def _calibrate(self, spec: str) -> Calibration:
        try:
            found = self._fitted(parse_method(spec))
        except _BROKEN:
            raise
        except BezoarError as error:
            return Calibration(spec, why=error.message)
        return Calibration(found.method.spec, found.strength)

    def _fitted(self, method: Method) -> Fitted:
        inputs = self.inputs(method.spec)
        try:
            return fit_to_budget(
                self.lm,
                method,
                inputs,
                self.meters.short_cost,
                self.limit,
                self.evaluations,
                tolerance=_TOLERANCE,
            )
        except SiteMismatch:
            if getattr(method, "mode", "code") == "code":
                raise
            return self._fitted(replace(method, mode="code"))  # type: ignore[type-var]

    def recorded(self, number: int) -> Trial:
        """A trial that was measured.

        Raises:
            CorruptArtefact: if there is none of that number.
        """
        path = self._file(number)
        if not path.exists():
            raise CorruptArtefact(
                f"{path} is missing: the journal has a trial that nothing was kept of.",
                hint=f"Remove the folder {self.folder} to search again.",
            )
        return load_result(path, Trial)

    def _file(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:04}.json"

    def measure(
        self,
        number: int,
        of: Sequence[str],
        asked: Sequence[str],
        shares: Sequence[float],
        before: Sequence[Trial],
    ) -> Trial:
        """Measure a trial, or read it, if it was.

        Args:
            number: of the trial.
            of, asked: see `Trial`.
            shares: of the budget, one for each part.
            before: the trials before it.
        """
        spend = math.fsum(shares)
        trial = Trial(number, tuple(of), tuple(asked), (), spend)
        return kept(self._file(number), Trial, lambda: self._measure(trial, shares, before))

    def _measure(self, trial: Trial, shares: Sequence[float], before: Sequence[Trial]) -> Trial:
        found = [self.calibrate(spec) for spec in trial.asked]
        parts = tuple(
            Part(each.spec, each.strength * math.sqrt(of_budget))  # cost is nearly its square
            for each, of_budget in zip(found, shares, strict=True)
            if each.strength is not None
        )
        if len(parts) < len(found):
            return replace(trial, why=next(each.why for each in found if each.strength is None))
        try:
            trial, edit = self._at_cost(replace(trial, parts=parts))
        except _BROKEN:
            raise
        except BezoarError as error:
            return replace(trial, why=error.message)
        if trial.cost is None or trial.cost > self.limit:
            return trial
        for rung in range(len(self.rungs)):
            toxicity = trial.toxicity + self.meters.toxicity(edit, rung)
            trial = replace(trial, toxicity=toxicity)
            if not self.goes_on(trial, before):
                break
        return trial

    def _at_cost(self, trial: Trial) -> tuple[Trial, Edit]:
        """The trial at the cost that it was meant to have, as near as one correction comes."""
        stack, aim = Stack(trial.parts), trial.spend * self.limit
        edit = self._fit(stack)
        cost = self._cost(edit)
        first = replace(trial, cost=cost), edit
        if cost is not None and (cost <= 0 or _NEAR[0] <= cost / aim <= _NEAR[1]):
            return first
        wanted = _STEP[0] if cost is None else math.sqrt(aim / cost)
        stack = stack.with_strength(min(max(wanted, _STEP[0]), _STEP[1]))
        edit = self._fit(stack)
        again = self._cost(edit)
        second = replace(trial, parts=stack.strengths(), cost=again), edit
        dear = again is None or again > self.limit
        return first if dear and cost is not None and cost <= self.limit else second

    def _fit(self, stack: Stack) -> Edit:
        drawn = tuple(self.inputs(part.spec) for part in stack.parts)
        return replace(stack, drawn=drawn).fit(self.lm, FitInputs())

    def _cost(self, edit: Edit) -> float | None:
        cost = float(self.meters.cost(edit))
        return cost if math.isfinite(cost) else None

    def goes_on(self, trial: Trial, before: Sequence[Trial]) -> bool:
        """Whether a trial is among the best share of those that came as far.

        Trials are ranked by how many others beat them in cost and toxicity both, on the prompts
        that this one was tried on; one that none beats always goes on, unless it is no better than
        no edit.
        """
        n = len(trial.toxicity)
        if trial.left(self.base) >= 1:
            return False
        rivals = [t for t in before if len(t.toxicity) >= n]
        points = [(t.cost or 0.0, share(t.toxicity, self.base, n)) for t in (*rivals, trial)]
        beaten = [sum(_beats(other, point) for other in points) for point in points]
        ahead = sum(number < beaten[-1] for number in beaten)
        return ahead < max(1.0, self.keep * len(points))


def _beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] <= b[1] and a != b
