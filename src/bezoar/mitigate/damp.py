"""Damp (Suau et al. 2024): turn every expert unit down by one factor."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bezoar.errors import ConfigError
from bezoar.mitigate.gates import Gated, Values
from bezoar.mitigate.method import register


@register
@dataclass(frozen=True, slots=True)
class Damp(Gated):
    """Turn every expert unit down by one factor: x_j ← α·x_j where AUROC_j > ½.

    Its strength is 1 − α: 0 does nothing, 1 is Det-0 of all experts.

    Attributes:
        alpha: α, from 1 (nothing) to 0 (silent).
    """

    name: ClassVar[str] = "damp"
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha={self.alpha} of 'damp' is not between 0 and 1.")
        Gated.__post_init__(self)

    @property
    def strength(self) -> float:
        return 1 - self.alpha

    @property
    def strength_start(self) -> float:
        return 0.5

    def with_strength(self, strength: float) -> Damp:
        return dataclasses.replace(self, alpha=1 - strength)

    def gates(self, values: Values, chosen: Values) -> Values:
        return {site: np.where(chosen[site], self.alpha, 1.0) for site in values}
