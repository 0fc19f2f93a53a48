"""Round-to-nearest quantisation: fewer bits, and whatever the remedy owed to the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bezoar.attack.attack import Attack, OnTop, Setting, at_least, rising
from bezoar.attack.matrices import changed_matrices
from bezoar.edits import Edit
from bezoar.models import LanguageModel

_FULL = 16.0  # bits of the checkpoints that are shared


@dataclass(frozen=True, slots=True)
class Quantisation(Attack):
    """Symmetric round-to-nearest of every block matrix, dequantised again ("fake quantised").

    A weight becomes ``q · s`` with an integer ``|q| ≤ 2^(bits−1) − 1`` and the step ``s = absmax /
    (2^(bits−1) − 1)``. Eight bits and more share one step per output channel; fewer bits share one
    per group of ``group`` consecutive inputs of an output channel. Nothing is calibrated;
    activations, embeddings, norms and biases stay. The budget is 16 / bits.

    Attributes:
        bits: numbers of bits, 2 to 16.
        group: inputs that share a step below eight bits (the last group may be shorter).
    """

    axis: ClassVar[str] = "compression (16 / bits)"
    bits: tuple[int, ...] = (8, 4)
    group: int = 64
    name: str = "quantisation"

    def __post_init__(self) -> None:
        at_least(1, group=self.group)

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        bits = sorted({int(b) for b in rising(self.bits, "The number of bits", 2, 16)})
        return tuple(
            Setting(_FULL / b, f"{b} bits", values={"bits": b, "group": self._group(b)})
            for b in reversed(bits)
        )

    def _group(self, bits: int) -> int | None:
        return None if bits >= 8 else self.group

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        def edit(setting: Setting) -> Edit:
            bits = round(_FULL / setting.budget)
            return changed_matrices(
                lm,
                remedy,
                lambda weight, _: rounded(weight, bits, self._group(bits)),
                name=f"round to {setting.label}",
                provenance={"attack": self.name, **setting.values},
            )

        return edit


def rounded(
    weight: Float[Tensor, "d_out d_in"], bits: int, group: int | None = None
) -> Float[Tensor, "d_out d_in"]:
    """The matrix rounded to ``bits`` with one step per row, or per ``group`` columns of a row."""
    rows, columns = weight.shape
    size = columns if group is None else min(group, columns)
    padded = functional.pad(weight, (0, -columns % size)).view(rows, -1, size)
    most = 2 ** (bits - 1) - 1
    step = padded.abs().amax(-1, keepdim=True) / most
    safe = step.where(step > 0, step.new_ones(()))
    new = (padded / safe).round().clamp(-most, most) * step
    return new.reshape(rows, -1)[:, :columns].contiguous()
