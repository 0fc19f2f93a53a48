"""What a training run says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.table import Table

from bezoar.edits import Edit
from bezoar.runs.results import Result

LOW_ENOUGH = "loss low enough"
"""Why a training of a recipe with `enough` stops."""


@dataclass(frozen=True, slots=True)
class Validation(Result):
    """The kept-out pairs after some steps.

    Attributes:
        step: steps of the optimiser so far; 0 is the untouched model.
        loss: the objective, mean over pairs; for DPO it begins at ln 2.
        accuracy: share of pairs whose chosen side has the larger reward; ties (to 1e-4) count a
            half.
        margin: chosen minus rejected reward, mean over pairs.
        chosen_reward, rejected_reward: β(log π_θ − log π_ref), mean over pairs.
        kl: KL(reference ‖ policy) a token, estimated from the answers (see `sampled_kl`).
    """

    step: int
    loss: float
    accuracy: float
    margin: float
    chosen_reward: float
    rejected_reward: float
    kl: float


@dataclass(frozen=True, slots=True)
class Step(Result):
    """One step of the optimiser; means over its pairs, before the step.

    Attributes:
        loss: the objective.
        accuracy, margin: as in `Validation`; None where one side alone is read.
        gradient: its norm before clipping.
    """

    step: int
    loss: float
    accuracy: float | None
    margin: float | None
    gradient: float


@dataclass(frozen=True, slots=True, repr=False)
class TrainingLog(Result):
    """How a model was trained.

    Attributes:
        objective, recipe, trainable: what was asked for, in one line each.
        steps: every step.
        validation: every validation, the untouched model first.
        best_step: the step whose state was kept: that of the lowest validation loss, or the last.
        stop_reason: "end of the pairs", "patience", `LOW_ENOUGH`, or "not finite: …".
        pairs, validation_pairs: how many of each.
        equal: pairs left out because both sides are the same tokens.
        cut_prompts, cut_answers: pairs whose prompt or answer was shortened.
        trained: how many numbers were free to move.
        norm: ‖ΔW‖ of the kept state over what was trained; of tied weights once.
        relative: ‖ΔW‖ / ‖W‖ over the same; 0 of what begins at zero.
        known: validation pairs whose prompt (or, without one, a side) is learnt from too.
    """

    objective: str
    recipe: str
    trainable: str
    steps: tuple[Step, ...]
    validation: tuple[Validation, ...]
    best_step: int
    stop_reason: str
    pairs: int
    validation_pairs: int
    equal: int
    cut_prompts: int
    cut_answers: int
    trained: int
    norm: float
    relative: float
    known: int = 0

    @property
    def best(self) -> Validation:
        """The validation of the kept state."""
        return next(point for point in self.validation if point.step == self.best_step)

    def __rich__(self) -> Table:
        title = (
            f"{self.objective} on {self.pairs:,} pairs, {self.trainable} trained; stopped: "
            f"{self.stop_reason}"
        )
        columns = ("step", "validation loss", "accuracy", "margin", "KL a token")
        table = Table(*columns, title=title)
        shown = {self.validation[0].step, self.best_step, self.validation[-1].step}
        every = max(1, len(self.validation) // 10)
        for i, point in enumerate(self.validation):
            if i % every and point.step not in shown:
                continue
            mark = " kept" if point.step == self.best_step else ""
            table.add_row(
                f"{point.step}{mark}",
                f"{point.loss:.4f}",
                f"{point.accuracy:.2f}",
                f"{point.margin:+.3f}",
                f"{point.kl:.3g}",
            )
        share = f", {self.relative:.2%} of their norm" if self.relative else ""
        table.caption = f"{self.trained:,} numbers were free, and moved by {self.norm:.3g}{share}"
        if self.known:
            table.caption += f"; {self.known} of {self.validation_pairs} validation pairs are known"
        return table


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model as what turns the untouched one into it, and how it came about.

    Attributes:
        edit: of the state with the lowest validation loss.
        log: the run.
    """

    edit: Edit
    log: TrainingLog = field(repr=False)
