"""What a study left on disk, as far as it is there: all that claims are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from bezoar.evaluate import Measurement, MethodRow, Scorecard
from bezoar.evaluate.detection_results import Detection, EditDetection
from bezoar.evaluate.eigen_results import EigenChoices, EigenGrid
from bezoar.locate import (
    ExpertGroup,
    ExpertsReport,
    LayerExperts,
    Reconstruction,
    StatesReport,
)
from bezoar.studies.experts.evaluate import AS_PUBLISHED


@dataclass(frozen=True, slots=True)
class Found:
    """Results by name; None (or empty) is what was not measured.

    Attributes:
        eigen: label at the budget of EigenShift by its mode: "correct", "paper", "code".
        rivals: labels at the budget of the first row of each other method, by its name.
        layers: of the layers stage; the audited model on the audit's texts first.
        experts, states: of the stages of these names.
        scorecard: at the budget, and as published.
        measured: rows by label, for comparisons prompt by prompt.
        grid, choices, at_cost, reconstruction: of the grid stage; ``chosen`` are choices prompt by
            prompt.
        detection: of the detect stage.
    """

    eigen: Mapping[str, str] = field(default_factory=dict)
    rivals: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[LayerExperts, ...] = ()
    experts: ExpertsReport | None = None
    states: StatesReport | None = None
    scorecard: Scorecard | None = None
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    grid: EigenGrid | None = None
    choices: EigenChoices | None = None
    at_cost: EigenChoices | None = None
    chosen: Mapping[str, Measurement] = field(default_factory=dict)
    reconstruction: Reconstruction | None = None
    detection: Detection | None = None

    @property
    def audited(self) -> LayerExperts | None:
        """The audited model's layers on the audit's texts."""
        return self.layers[0] if self.layers else None

    @property
    def units(self) -> ExpertGroup | None:
        """The neurons that the paper counts, or what was scored in their place."""
        return self.experts.groups[0] if self.experts is not None and self.experts.groups else None

    @property
    def no_op(self) -> MethodRow | None:
        """What all rows are compared with."""
        return next((row for row in self._rows if row.kind == "no-op"), None)

    @property
    def _rows(self) -> tuple[MethodRow, ...]:
        return () if self.scorecard is None else self.scorecard.rows

    def at_budget(self, label: str) -> MethodRow | None:
        """The row of a method by its label."""
        named = (row for row in self._rows if row.kind == "method" and row.label == label)
        return next(named, None)

    def as_published(self, label: str) -> str:
        """The label of the same method at its printed strength."""
        return f"{label} {AS_PUBLISHED}"

    def published(self, method: str) -> MethodRow | None:
        """A method's row at its printed strength: "eigenshift" is that of mode correct."""
        label = self._label(method)
        return None if label is None else self.at_budget(self.as_published(label))

    def detected(self, method: str) -> EditDetection | None:
        """The same as a reader."""
        label = self._label(method)
        edits = () if self.detection is None or label is None else self.detection.edits
        return next((edit for edit in edits if edit.label == self.as_published(label or "")), None)

    def _label(self, method: str) -> str | None:
        return self.eigen.get("correct") if method == "eigenshift" else self.rivals.get(method)


def toxicity_of(measured: Measurement) -> Float64[np.ndarray, " prompts"]:
    """Of each prompt."""
    return np.asarray(measured.per_prompt["toxicity"], dtype=np.float64)
