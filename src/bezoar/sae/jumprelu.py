"""JumpReLU: each latent has a threshold of its own, learned (Rajamanoharan 2024b)."""

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
class JumpReLUOptions:
    """Options of JumpReLU autoencoders.

    Attributes:
        l0: latents a row that the penalty asks for, on average.
        sparsity: weight of the penalty, × d_model (which is about the variance of the inputs).
        bandwidth: of the kernel that stands for the derivative of a step; ``mean‖x‖ = √d``.
    """

    l0: Annotated[float, Field(gt=0)] = 32.0
    sparsity: Annotated[float, Field(ge=0)] = 0.1
    bandwidth: Annotated[float, Field(gt=0)] = 2.0


class _Jump(torch.autograd.Function):
    """``z · 1[z > θ]`` and ``1[z > θ]``; θ learns by a kernel's estimate (equations 11 and 12)."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor, width: float) -> tuple[Tensor, Tensor]:
        active = pre > threshold
        ctx.save_for_backward(pre, threshold)
        ctx.width = width
        return torch.where(active, pre, 0), active.to(pre.dtype)

    @staticmethod
    def backward(ctx: Any, values: Tensor, steps: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < ctx.width / 2).to(pre.dtype) / ctx.width
        by_threshold = -(near * (threshold * values + steps)).sum(0)
        return torch.where(pre > threshold, values, 0), by_threshold, None


@register
class JumpReLU(SparseAutoencoder):
    """``f = π · 1[π > θ]``, ``π = (x − b_dec) W_enc + b_enc``, ``θ ≥ 0``.

    Minimises ``mean‖x − x̂‖² + λ d (L0 / l0 − 1)²``: the paper's penalty towards a wanted number of
    active latents, so that it can be compared with TopK at an equal one.

    Attributes:
        threshold: ``[d_sae]``, θ ≥ 0.
    """

    architecture: ClassVar[str] = "jumprelu"
    Options: ClassVar[type] = JumpReLUOptions
    in_units: ClassVar[tuple[str, ...]] = ("b_enc", "b_dec", "threshold")

    def __init__(self, d_model: int, d_sae: int, options: Any = None) -> None:
        super().__init__(d_model, d_sae, options)
        self.threshold = nn.Parameter(torch.zeros(d_sae))

    def activate(self, pre: Float[Tensor, "rows d_sae"]) -> Float[Tensor, "rows d_sae"]:
        return torch.where(pre > self.threshold, pre, 0).relu()

    def prepare(self, x: Float[Tensor, "rows d_model"]) -> None:
        """One threshold for all, at which the sample has the wanted number of active latents."""
        with torch.no_grad():
            some = x[: max(1, 2**22 // self.d_sae)]
            pre = self.pre_activations(some).flatten()
            keep = min(max(1, round(self.options.l0 * len(some))), len(pre))
            self.threshold.fill_(float(pre.topk(keep).values.min().clamp_min(1e-3)))

    def training_step(
        self, x: Float[Tensor, "rows d_model"], share: float, dead: Int64[Tensor, " dead"]
    ) -> Step:
        # Not through a ReLU first, as the paper's listing has it: all that is below zero would lie
        # at zero, within the kernel of every small threshold.
        pre = self.pre_activations(x)
        latents, steps = _Jump.apply(pre, self.threshold, self.options.bandwidth)
        error = (latents @ self.W_dec + self.b_dec - x).square().sum(1).mean()
        l0 = steps.sum(1).mean()
        weight = self.options.sparsity * self.d_model * min(1.0, share / WARM)
        loss = error + weight * (l0 / self.options.l0 - 1).square()
        return Step(loss, error.detach(), (steps > 0).any(0), l0.detach())

    def constrain(self) -> None:
        super().constrain()
        with torch.no_grad():
            self.threshold.clamp_min_(0)

    def exported(self) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
        name, extra, tensors = super().exported()
        return name, extra, tensors | {"threshold": self.threshold.detach()}
