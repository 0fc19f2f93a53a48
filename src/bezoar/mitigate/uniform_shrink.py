"""Shrink everything alike: the control that any remedy of the same cost has to beat."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch

from bezoar.edits import ActivationEdit, Edit, Gate
from bezoar.errors import ConfigError
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import LanguageModel


@register
@dataclass(frozen=True, slots=True)
class UniformShrink(Method):
    """A control: make every MLP write less, in all directions alike: x ← (1 − s)·x.

    It knows nothing of the behaviour. At the same cost it shows what damage alone does; it is
    never chosen, and has no nulls, for nothing about it could be drawn at random.

    Attributes:
        share: s, from 0 (nothing) to 1 (no MLP at all).
    """

    name: ClassVar[str] = "uniform-shrink"
    control: ClassVar[bool] = True
    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"share={self.share} of a uniform shrink is not between 0 and 1.")

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ()

    @property
    def strength(self) -> float:
        return self.share

    @property
    def strength_max(self) -> float:
        return 1.0

    @property
    def strength_start(self) -> float:
        return 0.1

    def with_strength(self, strength: float) -> UniformShrink:
        return dataclasses.replace(self, share=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` scaling what every MLP adds to the residual stream."""
        return ActivationEdit.at(
            lm.sites(["mlp_out"]),
            Gate(torch.full((lm.d_model,), 1.0 - self.share)),
            name=self.name,
            provenance=self.origin(lm),
        )
