"""Magnitude pruning: set the smallest weights to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from bezoar.attack.attack import Attack, OnTop, Setting, rising
from bezoar.attack.matrices import changed_matrices
from bezoar.edits import Edit
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True)
class Pruning(Attack):
    """Zero the weights of least magnitude, the same share of each block matrix; no retraining.

    Embeddings, norms and biases stay.

    Attributes:
        shares: of the weights, in [0, 1).
    """

    axis: ClassVar[str] = "share of weights removed"
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    name: str = "pruning"

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        shares = rising(self.shares, "A share to prune", 0, 0.999)
        return tuple(Setting(s, f"{100 * s:g} %", values={"share": s}) for s in shares)

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        def edit(setting: Setting) -> Edit:
            return changed_matrices(
                lm,
                remedy,
                lambda weight, _: pruned(weight, setting.budget),
                name=f"prune {setting.label}",
                provenance={"attack": self.name, "share": setting.budget},
            )

        return edit


def pruned(weight: Float[Tensor, "rows cols"], share: float) -> Float[Tensor, "rows cols"]:
    """The matrix without its ``round(share · size)`` smallest entries (ties: the first ones)."""
    order = weight.abs().flatten().argsort(stable=True)
    new = weight.flatten().clone()
    new[order[: round(share * weight.numel())]] = 0.0
    return new.view(weight.shape)
