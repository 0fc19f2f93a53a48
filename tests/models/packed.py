"""Fake packed layers, standing for what quantisation libraries put in a linear layer's place."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Packed(nn.Module):
    """A linear layer whose weight is stored as two 4-bit numbers a byte, scaled by row."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        scale = weight.abs().amax(1, keepdim=True) / 7
        levels = ((weight / scale).round().clamp(-7, 7) + 7).to(torch.uint8)
        self.register_buffer("qweight", levels[:, ::2] * 16 + levels[:, 1::2])
        self.register_buffer("scale", scale)
        self.bias = linear.bias

    def unpacked(self) -> Tensor:
        levels = torch.stack([self.qweight // 16, self.qweight % 16], -1).flatten(1)
        return (levels.float() - 7) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.unpacked(), self.bias)


class Telling(Packed):
    """One that unpacks itself."""

    def dequantize(self) -> Tensor:
        return self.unpacked()


class Misleading(Packed):
    """One whose ``dequantize`` gives what it does not compute with."""

    def dequantize(self) -> Tensor:
        return self.unpacked().flip(0)


class Opaque(Packed):
    """One that rounds its input too, and so acts as no matrix."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((2 * x).round() / 2)


def pack(model: nn.Module, kind: type[Packed], *, inside: str = "layers") -> nn.Module:
    """Put packed layers in the place of all linear ones inside the blocks."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and f".{inside}." in name:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, kind(module))
    return model
