"""TopK: of every row the k largest latents are kept (Gao et al. 2024)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from bezoar.errors import SAEError
from bezoar.sae.base import SparseAutoencoder, Step
from bezoar.sae.codes import Codes
from bezoar.sae.devices import rows_at_once
from bezoar.sae.kernels import Pairs, active_pairs, largest, selected_values, sparse_decode
from bezoar.sae.losses import dead_latent_loss
from bezoar.sae.registry import register

_CHUNK = 2**23  # pre-activations that a CPU holds at once: 32 MiB


@dataclass(frozen=True, slots=True)
class TopKOptions:
    """Options of TopK.

    Attributes:
        k: latents a row; for BatchTopK and Matryoshka on average.
        aux: weight of the loss that revives dead latents (the paper's α).
    """

    k: Annotated[int, Field(ge=1)] = 32
    aux: Annotated[float, Field(ge=0)] = 1 / 32


class Selecting(SparseAutoencoder):
    """The family that selects few latents, and so never multiplies by zeros.

    The product ``x W_enc`` is made for some rows at a time and only what is selected of it is kept.
    """

    Options: ClassVar[type] = TopKOptions

    def __init__(self, d_model: int, d_sae: int, options: Any = None) -> None:
        super().__init__(d_model, d_sae, options)
        if self.options.k > d_sae:
            raise SAEError(
                f"k is {self.options.k}, and there are {d_sae} latents.",
                hint="Lower k, or raise the expansion.",
            )

    @abstractmethod
    def select(self, centred: Float[Tensor, "rows d_model"]) -> Codes:
        """The latents that are active in training on rows ``x − b_dec``, not differentiable."""

    def training_step(
        self, x: Float[Tensor, "rows d_model"], share: float, dead: Int64[Tensor, " dead"]
    ) -> Step:
        with torch.no_grad():
            centred = x - self.b_dec
            pairs, found = active_pairs(*self.select(centred), self.d_sae)
        weights = self.W_enc, self.b_enc
        values = selected_values(found, centred, *weights, self.b_dec, pairs)
        loss, x_hat = self.reconstruct(x, values, pairs)
        residual = x - x_hat.detach()
        if self.options.aux and len(dead):
            revived = dead_latent_loss(centred, residual, *weights, self.W_dec, dead)
            loss = loss + self.options.aux * revived
        fired = torch.zeros(self.d_sae, dtype=torch.bool, device=x.device)
        fired[pairs.latents] = True
        l0 = torch.full((), len(found) / max(1, len(x)), device=x.device)
        return Step(loss, residual.square().sum(1).mean(), fired, l0)

    def reconstruct(
        self, x: Float[Tensor, "rows d_model"], values: Float[Tensor, " pairs"], pairs: Pairs
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "rows d_model"]]:
        """``mean‖x − x̂‖²`` and x̂."""
        x_hat = sparse_decode(values, self.W_dec, pairs) + self.b_dec
        return (x_hat - x).square().sum(1).mean(), x_hat

    def largest_codes(self, centred: Float[Tensor, "rows d_model"], k: int) -> Codes:
        """The k largest latents of rows ``x − b_dec``; none below zero."""
        rows = rows_at_once(self.d_sae, centred.device, _CHUNK)
        parts = [
            largest(torch.addmm(self.b_enc, part, self.W_enc), k) for part in centred.split(rows)
        ]
        values = torch.cat([value for value, _ in parts]).relu()
        indices = torch.cat([index for _, index in parts])
        return Codes(indices.masked_fill(values == 0, 0), values)


@register
class TopK(Selecting):
    """``f = relu(TopK((x − b_dec) W_enc + b_enc))``, minimising ``mean‖x − x̂‖²`` and AuxK."""

    architecture: ClassVar[str] = "topk"

    @property
    def k(self) -> int:
        """Latents a row at most."""
        return int(self.options.k)

    def select(self, centred: Float[Tensor, "rows d_model"]) -> Codes:
        return self.largest_codes(centred, self.k)

    def activate(self, pre: Float[Tensor, "rows d_sae"]) -> Float[Tensor, "rows d_sae"]:
        values, indices = largest(pre, self.k)
        return torch.zeros_like(pre).scatter(1, indices, values.relu())

    def codes(self, x: Float[Tensor, "rows d_model"]) -> Codes:
        self._check_width(x)
        with torch.no_grad():
            if not len(x):
                return super().codes(x)
            return self.select(x.to(self.W_enc.dtype) - self.b_dec)

    def exported(self) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
        name, _, tensors = super().exported()
        return name, {"k": self.k, "rescale_acts_by_decoder_norm": False}, tensors
