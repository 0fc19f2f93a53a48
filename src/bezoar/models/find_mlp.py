"""Find the MLP of a block: the maps in and out, and of a gated one which is the gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bezoar.errors import UnsupportedAnatomy
from bezoar.models.block_view import BlockView, reader_of
from bezoar.models.names import AnatomyNames
from bezoar.models.trace import Call, close

Activation = Callable[[Tensor], Tensor]
_ACTIVATIONS: tuple[Activation, ...] = (
    F.silu,
    F.gelu,
    lambda x: F.gelu(x, approximate="tanh"),
    F.relu,
    torch.sigmoid,
    lambda x: F.relu(x).square(),
    lambda x: x * torch.sigmoid(1.702 * x),
    torch.tanh,
)
_PARTS = ("w_in", "w_gate", "w_up", "w_out")


@dataclass(slots=True)
class Mlp:
    """What was found; the maps of ``a = act(gate) * up`` may be one call that writes both.

    Attributes:
        w_in: to pre-activations; in a gated MLP the same as ``w_up``.
        w_out: back to the stream.
        gate_features, up_features: which outputs of a fused map are whose.
        holder: the innermost module that holds all of them.
        act: the module that computes the activation, if there is one.
        function: the known activation that gives what was computed, if there is no such module.
    """

    w_in: Call
    w_out: Call
    w_gate: Call | None = None
    w_up: Call | None = None
    gate_features: slice | None = None
    up_features: slice | None = None
    holder: Call | None = None
    act: Call | None = None
    function: Activation | None = None


def find_mlp(view: BlockView, names: AnatomyNames) -> Mlp | None:
    """The linear maps of the MLP: those named by hand, or by their widths and order.

    Where there are none, ``view.missing`` says what there is instead.
    """
    w_out = view.by_hand(names.w_out)
    found = _by_width(view) if w_out is None else _named(view, w_out, names)
    if found is None:
        return None
    found.holder = _holder(view, found)
    source = found.w_gate or found.w_in
    pre = _share(source.wrote, found.gate_features)
    act = reader_of(view.outside(), pre, after=source.end)
    if act is not None and act is not found.w_out and next(act.module.parameters(), None) is None:
        found.act = act
    elif pre is not None:
        up = None if found.w_gate is None else _share(found.w_in.wrote, found.up_features)
        found.function = next(
            (f for f in _ACTIVATIONS if _gives(view, f(pre), up, found.w_out.read)), None
        )
    return found


def give_up(view: BlockView, reason: str) -> None:
    """Say of every part of the MLP why it is missing."""
    for part in _PARTS:
        view.missing[part] = reason


def _named(view: BlockView, w_out: Call, names: AnatomyNames) -> Mlp:
    w_in = view.by_hand(names.w_up) or view.by_hand(names.w_in)
    if w_in is None:
        raise UnsupportedAnatomy(
            f"w_out={names.w_out!r} was named by hand, and no map into the MLP of "
            f"{view.block.name}.",
            hint="Name w_in as well, or w_gate and w_up where the MLP is gated.",
        )
    w_gate = view.by_hand(names.w_gate)
    if w_gate is None and (split := _split(view, w_in, w_out)):
        return Mlp(w_in, w_out, w_in, w_in, *split)
    if w_gate is not None and w_gate is w_in:
        split = _split(view, w_in, w_out)
        if split is None:
            raise UnsupportedAnatomy(f"Which half of {names.w_gate!r} is the gate is not known.")
        return Mlp(w_in, w_out, w_in, w_in, *split)
    return Mlp(w_in, w_out, w_gate, w_in if w_gate is not None else None)


def _by_width(view: BlockView) -> Mlp | None:
    d = view.d_model
    maps = [call for call in view.maps() if not view.in_attention(call)]
    shown = ", ".join(f"{view.short(c)} {c.d_in}→{c.d_out}" for c in maps) or "none"
    reason = f"the linear maps outside attention are: {shown}"
    outs = [c for c in maps if c.d_out == d and any(e.d_in == d and e.end < c.start for e in maps)]
    if not outs:
        give_up(view, reason)
        return None
    w_out = outs[-1]
    before = [c for c in maps if c.d_in == d and c.end < w_out.start]
    ins = [c for c in before if c.d_out == w_out.d_in]
    if len(ins) == 1:
        return Mlp(ins[0], w_out)
    if len(ins) == 2:
        for gate, up in (ins, ins[::-1]):
            if _is_gate(view, gate.wrote, up.wrote, w_out.read):
                return Mlp(up, w_out, gate, up)
        reason += "; which of two is the gate could not be told"
    for fused in before:
        if not ins and (split := _split(view, fused, w_out)):
            return Mlp(fused, w_out, fused, fused, *split)
    give_up(view, reason)
    return None


def _split(view: BlockView, fused: Call, w_out: Call) -> tuple[slice, slice] | None:
    """Which outputs of a map twice as wide as ``w_out`` reads are the gate, and which the rest."""
    width = w_out.d_in
    if width is None or fused.d_out != 2 * width:
        return None
    halves = (slice(0, width), slice(width, 2 * width))
    for first, second in (halves, (slice(0, None, 2), slice(1, None, 2))):
        for gate, up in ((first, second), (second, first)):
            if _is_gate(view, _share(fused.wrote, gate), _share(fused.wrote, up), w_out.read):
                return gate, up
    return None


def _share(value: Tensor | None, features: slice | None) -> Tensor | None:
    return value if value is None or features is None else value[..., features]


def _is_gate(
    view: BlockView, gate: Tensor | None, up: Tensor | None, product: Tensor | None
) -> bool:
    """Whether ``product = act(gate) * up``, for some activation."""
    if gate is None or up is None or product is None:
        return False
    acted = [
        call.wrote
        for call in view.outside()
        if call.wrote is not None
        and call.wrote.numel() == up.numel()
        and close(call.read, gate, 1e-6)
    ]
    # A model may call a function where others have a module.
    acted += [act(gate) for act in _ACTIVATIONS]
    return any(_gives(view, a, up, product) for a in acted)


def _gives(view: BlockView, acted: Tensor, up: Tensor | None, product: Tensor | None) -> bool:
    """Whether ``product = acted * up``, or ``acted`` alone."""
    made = acted.reshape(-1) if up is None else acted.reshape(-1) * up.reshape(-1)
    return close(made, product, max(1e-4, 8 * view.eps))


def _holder(view: BlockView, mlp: Mlp) -> Call | None:
    holders = [
        call
        for call in view.calls
        if all(m.name.startswith(f"{call.name}.") for m in (mlp.w_in, mlp.w_out))
    ]
    return max(holders, key=lambda call: len(call.name), default=None)
