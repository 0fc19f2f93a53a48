"""ReLU with an L1 penalty: the first kind (Bricken et al. 2023; penalty as of April 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from bezoar.sae.base import SparseAutoencoder, Step
from bezoar.sae.losses import norm_weighted_l1
from bezoar.sae.registry import register

WARM = 0.05  # of the training: penalties grow linearly that long (Conerly et al. 2024)


@dataclass(frozen=True, slots=True)
class ReLUOptions:
    """Options of ReLU autoencoders.

    Attributes:
        l1: weight λ of the penalty, × √d: inputs are scaled so that ``mean‖x‖ = √d``, which makes
            errors grow with d and latents with its root. (5 at d = 4,096 is 0.08.)
        resample: times that dead latents start anew, spread over the first half of the training.
    """

    l1: Annotated[float, Field(ge=0)] = 0.1
    resample: Annotated[int, Field(ge=0)] = 4


@register
class ReLU(SparseAutoencoder):
    """``f = relu((x − b_dec) W_enc + b_enc)``.

    Minimises ``mean‖x − x̂‖² + λ√d mean Σ f_i‖W_dec[i]‖``. Decoder rows are free in
    training: the penalty is the same whatever their norms.
    """

    architecture: ClassVar[str] = "relu"
    Options: ClassVar[type] = ReLUOptions
    unit_norm: ClassVar[bool] = False

    def activate(self, pre: Float[Tensor, "rows d_sae"]) -> Float[Tensor, "rows d_sae"]:
        return pre.relu()

    def training_step(
        self, x: Float[Tensor, "rows d_model"], share: float, dead: Int64[Tensor, " dead"]
    ) -> Step:
        latents = self.pre_activations(x).relu()
        error = (latents @ self.W_dec + self.b_dec - x).square().sum(1).mean()
        weight = self.options.l1 * self.d_model**0.5 * min(1.0, share / WARM)
        loss = error + weight * norm_weighted_l1(latents, self.W_dec)
        active = latents.detach() > 0
        return Step(loss, error.detach(), active.any(0), active.sum(1).float().mean())

    def finish(self) -> None:
        with torch.no_grad():
            norms = self.W_dec.norm(dim=1).clamp_min(1e-12)
            self.W_enc.mul_(norms)
            self.b_enc.mul_(norms)
            self.W_dec.div_(norms[:, None])

    def exported(self) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
        return "standard", *super().exported()[1:]
