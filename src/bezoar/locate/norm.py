"""A final norm taken apart: gain, bias, and whether it subtracts the mean.

LayerNorm and RMSNorm are ``gain · C(x) / s(x) + bias`` where C removes the mean (or nothing) and s
is a scalar. With s *frozen* the norm is linear, which is what lets a logit be split into the parts
of the residual stream that made it. The parts are read off the module's behaviour, not its class:
"gain" is called weight here, 1 + weight there, and may be absent. Half precision has neither the
range nor the digits for that, so it is done on a copy in float32.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bezoar.errors import UnsupportedAnatomy
from bezoar.models.offload import fetched

_SIZE = 100.0  # of the patterns shown to the norm: large, so that its epsilon does not count


@dataclass(frozen=True, slots=True, eq=False)
class AffineNorm:
    """``norm(x) = gain · C(x) / s(x) + bias``.

    Attributes:
        gain: [d].
        bias: [d], zero where the norm has none.
        centred: whether C subtracts the mean over d.
    """

    gain: Float[Tensor, " d"]
    bias: Float[Tensor, " d"]
    centred: bool

    @classmethod
    @torch.no_grad()
    def of(cls, norm: Callable[[Tensor], Tensor], like: Float[Tensor, " d"]) -> AffineNorm:
        """Take a norm apart.

        Args:
            norm: maps [... d] to [... d].
            like: any vector of the width, dtype (float32 or wider) and device to call it with.

        Raises:
            UnsupportedAnatomy: if it is not of this form (or of an identity's).
        """
        d = like.shape[-1]
        pattern = torch.ones_like(like)
        pattern[1::2] = -1
        if d % 2:  # keep the mean at zero
            pattern[-3:] = torch.tensor([1.0, 1.0, -2.0])
        bias = norm(torch.zeros_like(like))
        gain = (norm(_SIZE * pattern) - bias) / pattern * pattern.square().mean().sqrt()
        shifted = norm(_SIZE * (pattern + 3)) - bias
        centred = bool(torch.allclose(shifted, norm(_SIZE * pattern) - bias, rtol=1e-2, atol=1e-3))
        parts = cls(gain, bias, centred)
        ramp = _SIZE * torch.linspace(-1, 2, d).to(like)
        normed = norm(ramp)
        rest = parts.frozen(ramp, parts.scale(ramp, normed)) - normed
        if float(rest.abs().max()) > 1e-2 * float(normed.abs().max()):
            raise UnsupportedAnatomy(
                "The norm is neither a LayerNorm nor an RMSNorm, so its scale cannot be frozen.",
                hint="The lens in mode='default' needs no frozen scale.",
            )
        return parts

    def centre(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """C(x)."""
        return x - x.mean(dim=-1, keepdim=True) if self.centred else x

    def scale(
        self, x: Float[Tensor, "*rows d"], normed: Float[Tensor, "*rows d"]
    ) -> Float[Tensor, "*rows 1"]:
        """s(x), read off the norm's own output, epsilon and all."""
        numerator = self.gain * self.centre(x)
        overlap = (numerator * (normed - self.bias)).sum(dim=-1, keepdim=True)
        return numerator.square().sum(dim=-1, keepdim=True) / overlap

    def frozen(
        self, x: Float[Tensor, "*rows d"], scale: Float[Tensor, "*rows 1"]
    ) -> Float[Tensor, "*rows d"]:
        """``gain · C(x) / scale + bias``: the norm, were its scale this."""
        return self.gain * self.centre(x) / scale + self.bias

    def pull_back(self, readers: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """r with ``r · x = reader · (gain · C(x))``: C is symmetric."""
        return self.centre(self.gain * readers)


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A norm of a model as ``gain · C(x) / s(x) + bias``, in float32 (float64 of a float64 model).

    Attributes:
        parts: gain, bias and centring.
        module: a copy of the norm as it was, past whatever edit or other hook hangs on it.
    """

    parts: AffineNorm
    module: nn.Module

    @classmethod
    def of(cls, module: nn.Module, like: Float[Tensor, " d"]) -> Norm:
        """Take a module apart.

        Args:
            module: the norm, of any dtype.
            like: any vector of its width, on the device to work on.

        Raises:
            UnsupportedAnatomy: if it is neither a LayerNorm nor an RMSNorm.
        """
        like = like.to(torch.promote_types(like.dtype, torch.float32))
        module = _bare_copy(module, like)
        return cls(AffineNorm.of(module.forward, like), module)

    @property
    def bias(self) -> Float[Tensor, " d"]:
        return self.parts.bias

    @torch.no_grad()
    def scale(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows 1"]:
        """s(x)."""
        x = x.to(self.parts.gain)
        return self.parts.scale(x, self.module.forward(x))

    def frozen(
        self, x: Float[Tensor, "*rows d"], scale: Float[Tensor, "*rows 1"]
    ) -> Float[Tensor, "*rows d"]:
        """`AffineNorm.frozen` of a vector of any dtype."""
        return self.parts.frozen(x.to(self.parts.gain), scale)

    def pull_back(self, readers: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """`AffineNorm.pull_back` of a reader of any dtype."""
        return self.parts.pull_back(readers.to(self.parts.gain))


def _bare_copy(module: nn.Module, like: Tensor) -> nn.Module:
    """The module in the dtype and on the device of ``like``, without hooks, offloaded or not."""
    bare = copy.copy(module)
    for replaced in ("forward", "_old_forward", "_hf_hook"):  # by the hooks of an offloaded module
        vars(bare).pop(replaced, None)
    bare._forward_hooks, bare._forward_pre_hooks = OrderedDict(), OrderedDict()
    with fetched(module):
        bare._parameters = {
            name: None if p is None else nn.Parameter(p.detach().to(like, copy=True), False)
            for name, p in module._parameters.items()
        }
        bare._buffers = {
            name: b.to(like) if b is not None and b.is_floating_point() else b
            for name, b in module._buffers.items()
        }
    bare._modules = {
        name: None if child is None else _bare_copy(child, like)
        for name, child in module._modules.items()
    }
    return bare
