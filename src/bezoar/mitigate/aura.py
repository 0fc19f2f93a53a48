"""AurA (Suau et al. 2024): turn every expert unit down by how well it detects the behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bezoar.mitigate.gates import Shared, Values
from bezoar.mitigate.method import register


@register
@dataclass(frozen=True, slots=True)
class AurA(Shared):
    """Turn every expert unit down by how well it alone detects the behaviour.

    x_j ← ((1 − s) + s·α_j)·x_j with α_j = 1 − 2·max(0, AUROC_j − ½): a unit that knows nothing
    stays as it is, a perfect detector is silenced. At s = 1 this is the paper's method, which has
    no strength; s is how far towards it to go.

    Attributes:
        share: s, from 0 (nothing) to 1. Nulls may go further, until a gate is shut.
    """

    name: ClassVar[str] = "aura"

    @property
    def null_strength_max(self) -> float:
        """Units scored by chance have gates near 1, and cost nothing unless turned down more."""
        return 64.0

    def gates(self, values: Values, chosen: Values) -> Values:
        return {
            # 2·max(0, AUROC − ½) is 1 − α; beyond s = 1 a gate ends at 0 and never turns over.
            site: np.clip(1 - self.share * 2 * np.maximum(value - 0.5, 0) * chosen[site], 0, 1)
            for site, value in values.items()
        }
