"""What a study left on disk, as far as it is there: all that claims are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from bezoar.attack import ResidualCapability, Robustness
from bezoar.compare.models import (
    ActivationDrop,
    Contributions,
    Interpolation,
    LensComparison,
    ResidualShift,
    ShiftSources,
    ValuesKept,
    WeightDrift,
)
from bezoar.evaluate import Measurement, MethodRow, Scorecard
from bezoar.locate import LexiconShare, ProbeSweep
from bezoar.mitigate.preference import TrainingLog
from bezoar.studies.dpo.evaluate import AS_TRAINED, FACTOR, KEYS

NO_OP = "no-op"


@dataclass(frozen=True, slots=True)
class Found:
    """Results by name; None (or empty) is what was not measured.

    Attributes:
        dpo: label of the main training's row at the budget.
        sweep, share: of the locate stage.
        logs: of each training, by spec.
        scorecard: Table 2, and the trainings as they ended.
        measured: rows by label, for comparisons prompt by prompt: the no-op, each training as it
            ended, and the main one with toxic keys scaled.
        drift, values, lens, lens_reversed, drop, drop_shared, shifts, sources, contributions,
            interpolation: of the compare stage.
        scaling, residual: of the attack stage, of the main training as it ended.
    """

    dpo: str = "dpo"
    sweep: ProbeSweep | None = None
    share: LexiconShare | None = None
    logs: Mapping[str, TrainingLog] = field(default_factory=dict)
    scorecard: Scorecard | None = None
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    drift: WeightDrift | None = None
    values: ValuesKept | None = None
    lens: LensComparison | None = None
    lens_reversed: LensComparison | None = None
    drop: ActivationDrop | None = None
    drop_shared: ActivationDrop | None = None
    shifts: tuple[ResidualShift, ...] = ()
    sources: tuple[ShiftSources, ...] = ()
    contributions: Contributions | None = None
    interpolation: Interpolation | None = None
    scaling: Robustness | None = None
    residual: ResidualCapability | None = None

    @property
    def trained(self) -> str:
        """Label of the main training as it ended."""
        return f"{self.dpo} {AS_TRAINED}"

    @property
    def scaled(self) -> str:
        """Label of that with toxic keys scaled."""
        return f"{self.trained}, {KEYS} keys × {FACTOR:g}"

    @property
    def rows(self) -> tuple[MethodRow, ...]:
        """Of the scorecard."""
        return () if self.scorecard is None else self.scorecard.rows

    def row(self, label: str) -> MethodRow | None:
        """The row of a method by its label."""
        named = (row for row in self.rows if row.kind == "method" and row.label == label)
        return next(named, None)

    def toxicity(self, label: str) -> Float64[np.ndarray, " prompts"]:
        """Of each prompt, of a row that was measured."""
        return np.asarray(self.measured[label].per_prompt["toxicity"], dtype=np.float64)
