"""Matryoshka: nested autoencoders, the first latents by themselves (Bussmann et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from bezoar.errors import SAEError
from bezoar.sae.batch_topk import BatchTopK
from bezoar.sae.kernels import Pairs, sparse_decode, split_bags
from bezoar.sae.registry import register


@dataclass(frozen=True, slots=True)
class MatryoshkaOptions:
    """Options of Matryoshka autoencoders.

    Attributes:
        k: latents a row, on average.
        aux: weight of the loss that revives dead latents.
        levels: nested autoencoders, each with half the latents of the next.
    """

    k: Annotated[int, Field(ge=1)] = 32
    aux: Annotated[float, Field(ge=0)] = 1 / 32
    levels: Annotated[int, Field(ge=1)] = 5


@register
class Matryoshka(BatchTopK):
    """BatchTopK, minimising the mean over levels m of ``mean‖x − x̂_m‖²``.

    ``x̂_m`` is made of the first ``d_sae / 2^(levels − m)`` latents, so that these learn what is
    general and need not make room for the special cases that later ones hold.
    """

    architecture: ClassVar[str] = "matryoshka"
    Options: ClassVar[type] = MatryoshkaOptions
    level: Tensor
    """The first level that each latent belongs to."""

    def __init__(self, d_model: int, d_sae: int, options: Any = None) -> None:
        super().__init__(d_model, d_sae, options)
        if d_sae < 2 ** (self.options.levels - 1):
            raise SAEError(
                f"{d_sae} latents cannot be halved {self.options.levels - 1} times.",
                hint="Give fewer levels, or a larger expansion.",
            )
        ends = torch.tensor(self.widths)
        level = torch.searchsorted(ends, torch.arange(d_sae), right=True)
        self.register_buffer("level", level, persistent=False)

    @property
    def widths(self) -> list[int]:
        """Latents of each level, the least first."""
        return [self.d_sae >> shift for shift in reversed(range(self.options.levels))]

    def reconstruct(
        self, x: Float[Tensor, "rows d_model"], values: Float[Tensor, " pairs"], pairs: Pairs
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "rows d_model"]]:
        levels = self.options.levels
        apart, moved = split_bags(pairs, self.level, levels)
        added = sparse_decode(values[moved], self.W_dec, apart).view(len(x), levels, -1)
        nested = added.cumsum(1) + self.b_dec
        loss = (nested - x[:, None]).square().sum(2).mean()
        return loss, nested[:, -1]
