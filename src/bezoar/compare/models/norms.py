"""Norms taken apart in float32, past whatever edit hangs on them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from bezoar.locate.norm import AffineNorm


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A norm as ``gain · C(x) / s(x) + bias``, and as the function itself.

    Attributes:
        parts: gain, bias and centring.
        module: a float32 copy; called by its ``forward``, so that no hook of an edit acts on it.
    """

    parts: AffineNorm
    module: nn.Module

    @classmethod
    def of(cls, module: nn.Module, like: Float[Tensor, " d"]) -> Norm:
        """Take a module apart.

        Raises:
            UnsupportedAnatomy: if it is neither a LayerNorm nor an RMSNorm.
        """
        module = copy.deepcopy(module).float()
        return cls(AffineNorm.of(module.forward, like.float()), module)

    def scale(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows 1"]:
        """s(x)."""
        x = x.float()
        return self.parts.scale(x, self.module.forward(x))
