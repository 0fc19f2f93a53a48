"""Det-0 (Suau et al. 2024): silence the units that detect the behaviour best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bezoar.mitigate.gates import Shared, Values, ranked
from bezoar.mitigate.method import register


@register
@dataclass(frozen=True, slots=True)
class DetZero(Shared):
    """Silence the units that detect the behaviour best: x_j ← 0.

    Its strength is the share of the experts that is silenced, the best ones first: what the authors
    tune, and what stays Det-0 at any strength (a part of the way to zero would be Damp).

    Attributes:
        share: of the experts, or of ``top_n`` of them; any share above 0 silences one at least.
    """

    name: ClassVar[str] = "det-0"

    @property
    def strength_start(self) -> float:
        return 0.1

    def gates(self, values: Values, chosen: Values) -> Values:
        ranks, experts = ranked(values, chosen)
        silent = min(math.ceil(self.share * experts - 1e-9), experts)
        return {site: np.where(rank < silent, 0.0, 1.0) for site, rank in ranks.items()}
