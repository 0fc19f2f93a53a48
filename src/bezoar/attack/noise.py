"""Random perturbation of the weights: how wide is the basin that the remedy lies in?"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.attack.attack import Attack, OnTop, Setting, at_least, rising
from bezoar.attack.matrices import changed_matrices
from bezoar.edits import Edit
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True)
class WeightNoise(Attack):
    """Gaussian noise on every block matrix, of norm ``σ ‖W‖`` in each (Peng et al. 2024, "VISAGE").

    The noise of a direction is the same at every σ but for its length. Nobody chooses the
    direction, so the mean over directions counts, not the worst.

    Attributes:
        sigmas: relative Frobenius norms.
        directions: how many random ones.
        seed: of the noise.
    """

    axis: ClassVar[str] = "relative norm of the noise"
    combine: ClassVar[Literal["worst", "mean"]] = "mean"
    sigmas: tuple[float, ...] = (0.03, 0.1, 0.3)
    directions: int = 20
    seed: int = 0
    name: str = "weight noise"

    def __post_init__(self) -> None:
        at_least(1, directions=self.directions)

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        return tuple(
            Setting(s, f"σ {s:g}", f"direction {i}", values={"sigma": s, "direction": i})
            for s in rising(self.sigmas, "σ", 0, 100)
            for i in range(self.directions)
        )

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        def edit(setting: Setting) -> Edit:
            direction = int(setting.values["direction"] or 0)
            return changed_matrices(
                lm,
                remedy,
                lambda weight, name: noisy(
                    weight, setting.budget, noise_seed(self.seed, direction, name)
                ),
                name=f"noise {setting.label}",
                provenance={"attack": self.name, "seed": self.seed, **setting.values},
            )

        return edit


def noise_seed(seed: int, direction: int, name: str) -> int:
    """A seed of its own for each direction and matrix, the same on every machine."""
    return zlib.crc32(f"{seed} {direction} {name}".encode())


def noisy(
    weight: Float[Tensor, "rows cols"], sigma: float, seed: int
) -> Float[Tensor, "rows cols"]:
    """``W + E`` with ``‖E‖ = σ ‖W‖`` (Frobenius), E in a uniformly random direction."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(weight.shape, generator=generator).to(weight)
    return weight + noise * (sigma * weight.norm() / noise.norm())
