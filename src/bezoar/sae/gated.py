"""Gated: whether a latent is active, and how much, are two questions (Rajamanoharan 2024a)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from bezoar.sae.base import SparseAutoencoder, Step
from bezoar.sae.registry import register
from bezoar.sae.relu import WARM


@dataclass(frozen=True, slots=True)
class GatedOptions:
    """Options of gated autoencoders.

    Attributes:
        l1: weight λ of the penalty on the gates, × √d as with ReLU.
        resample: times that dead latents start anew, spread over the first half of the training.
    """

    l1: Annotated[float, Field(ge=0)] = 0.2
    resample: Annotated[int, Field(ge=0)] = 4


@register
class Gated(SparseAutoencoder):
    """``f = 1[π > 0] · relu((π − b_enc) exp(r_mag) + b_mag)``, ``π = (x − b_dec) W_enc + b_enc``.

    Minimises ``mean‖x − x̂‖² + λ√d mean Σ relu(π) + mean‖x − relu(π) W_dec − b_dec‖²``, the
    decoder held fast in the last term: the penalty shrinks gates and not values.

    Attributes:
        b_enc: the bias of the gates.
        b_mag: ``[d_sae]``, that of the values.
        r_mag: ``[d_sae]``, the logarithm of the scale between the two.
    """

    architecture: ClassVar[str] = "gated"
    Options: ClassVar[type] = GatedOptions
    in_units: ClassVar[tuple[str, ...]] = ("b_enc", "b_dec", "b_mag")

    def __init__(self, d_model: int, d_sae: int, options: Any = None) -> None:
        super().__init__(d_model, d_sae, options)
        self.b_mag = nn.Parameter(torch.zeros(d_sae))
        self.r_mag = nn.Parameter(torch.zeros(d_sae))

    def activate(self, pre: Float[Tensor, "rows d_sae"]) -> Float[Tensor, "rows d_sae"]:
        values = (pre - self.b_enc) * self.r_mag.exp() + self.b_mag
        return torch.where(pre > 0, values.relu(), 0)

    def training_step(
        self, x: Float[Tensor, "rows d_model"], share: float, dead: Int64[Tensor, " dead"]
    ) -> Step:
        pre = self.pre_activations(x)
        latents, gates = self.activate(pre), pre.relu()
        error = (latents @ self.W_dec + self.b_dec - x).square().sum(1).mean()
        by_gates = gates @ self.W_dec.detach() + self.b_dec.detach() - x
        weight = self.options.l1 * self.d_model**0.5 * min(1.0, share / WARM)
        loss = error + weight * gates.sum(1).mean() + by_gates.square().sum(1).mean()
        active = latents.detach() > 0
        return Step(loss, error.detach(), active.any(0), active.sum(1).float().mean())

    def exported(self) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
        name, extra, tensors = super().exported()
        tensors["b_gate"] = tensors.pop("b_enc")
        return name, extra, tensors | {"b_mag": self.b_mag.detach(), "r_mag": self.r_mag.detach()}
