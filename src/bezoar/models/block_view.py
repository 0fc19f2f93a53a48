"""One block in a recorded forward pass: its calls, and the residual stream at its two ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bezoar.models.linear import is_linear
from bezoar.models.trace import Call, close


@dataclass(slots=True)
class BlockView:
    """The calls of one block.

    Attributes:
        block: the block's own call; it reads and writes the residual stream.
        calls: those of the modules inside it, in order of their start.
        attention: the outermost module that mixes positions, if there is one.
        eps: machine precision of the model's parameters.
        missing: part → why it was not recognised.
    """

    block: Call
    calls: list[Call]
    attention: Call | None
    eps: float
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def d_model(self) -> int:
        return self.block.read.shape[-1]  # type: ignore[union-attr]

    def in_attention(self, call: Call) -> bool:
        root = self.attention
        return root is not None and (call is root or call.name.startswith(f"{root.name}."))

    def outside(self) -> list[Call]:
        return [call for call in self.calls if not self.in_attention(call)]

    def maps(self) -> list[Call]:
        """The linear maps, without those of which another one is made (an adapter's)."""
        maps = [call for call in self.calls if is_linear(call.module) and call.d_out is not None]
        names = [f"{call.name}." for call in maps]
        return [call for call in maps if not call.name.startswith(tuple(names))]

    def factor(self, total: Tensor | None, stream: Tensor | None, part: Tensor | None) -> float:
        """c in ``total = stream + c part``: 1 wherever it can be, 0 if there is no such c."""
        if total is None or stream is None or part is None:
            return 0.0
        if not total.numel() == stream.numel() == part.numel():
            return 0.0
        total, stream, part = total.reshape(-1), stream.reshape(-1), part.reshape(-1)
        change, energy = total - stream, float(part.square().sum())
        fitted = float((change * part).sum()) / energy if energy > 0 else 0.0
        for c in (1.0, plainest(fitted, max(1e-5, self.eps / 2))):
            # judged at the size of what is added: the stream may dwarf it
            size = abs(c) * float(part.abs().max())
            rounding = 8 * self.eps * float(total.abs().max())
            rest = float((change - c * part).abs().max())
            if size > 0 and rest <= max(1e-4, 8 * self.eps) * size + min(rounding, size / 2):
                return c
        return 0.0

    def adds_up(self, total: Tensor | None, stream: Tensor | None, *terms: Tensor | None) -> bool:
        """Whether ``total`` is ``stream`` plus the ``terms``, judged at the smallest of them."""
        if total is None or stream is None or stream.numel() != total.numel():
            return False
        parts = [t.reshape(-1) for t in terms if t is not None and t.numel() == total.numel()]
        if len(parts) < len(terms):
            return False
        rest = total.reshape(-1) - stream.reshape(-1) - torch.stack(parts).sum(0)
        size = min(float(part.abs().max()) for part in parts)
        rounding = min(8 * self.eps * float(total.abs().max()), size / 2)
        return float(rest.abs().max()) <= max(1e-4, 8 * self.eps) * size + rounding

    def by_hand(self, name: str | None) -> Call | None:
        """The call of the module of that name (``"this|or_that"``) in the block, if any."""
        named = {self.short(call): call for call in reversed(self.calls)}
        return next((named[n] for n in (name or "").split("|") if n in named), None)

    def short(self, call: Call) -> str:
        """The name inside the block."""
        return call.name.removeprefix(f"{self.block.name}.")

    def norm_before(self, reader: Call | None) -> Call | None:
        """The norm-like module outside attention whose output ``reader`` reads."""
        if reader is None:
            return None
        for call in self.outside():
            is_before = call.end < reader.start and call.d_in == call.d_out == self.d_model
            changes = not close(call.wrote, call.read, 1e-6)
            if is_before and changes and close(call.wrote, reader.read, 1e-6):
                return call
        return None

    def post_norm(self, added: Call | None, component: Call | None) -> Call | None:
        """``added`` itself, if it is a norm that changes what the component wrote."""
        if added is None or component is None or added is component or self.in_attention(added):
            return None
        changes = not close(added.wrote, component.wrote, 1e-6)
        return added if changes and close(added.read, component.wrote, 1e-6) else None


def plainest(value: float, tolerance: float) -> float:
    """The number with the fewest digits (six at most) within a relative tolerance."""
    for digits in range(1, 6):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= tolerance * abs(value):
            return short
    return float(f"{value:.6g}")


def reader_of(calls: Iterable[Call], value: Tensor | None, after: int) -> Call | None:
    """The first call that starts after a moment and reads a value."""
    return next((c for c in calls if c.start > after and close(c.read, value, 1e-6)), None)
