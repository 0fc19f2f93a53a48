"""Find what mixes positions in each block, and whether it looks ahead.

Two passes, in the second of which each block reads what it read in the first but for the one
token that was changed. A module that reads another position unchanged and writes it changed has
looked at that token: attention, a convolution, a recurrence. Each block is asked for itself, as
some models alternate between kinds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bezoar.models.find_chain import Chain
from bezoar.models.trace import Call, Trace, first_tensor, trace

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def trace_changed(model: nn.Module, input_ids: Tensor, run: Trace, chain: Chain) -> Trace:
    """A pass on other [1 pos] ids in which only rows of changed tokens differ, in every block."""
    handles = []
    changed: Tensor | None = None

    def feed(read: Tensor) -> Any:
        def before(_: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
            nonlocal changed
            value = first_tensor((args, kwargs))
            if value is None or value.shape != read.shape:
                return None
            known = read.to(value)
            if changed is None:  # in the first block
                changed = _differ(known, value)[..., None]
            new = torch.where(changed.reshape(*value.shape[:-1], 1), value, known)
            fed: tuple[Any, Any] = _with((args, kwargs), value, new)
            return fed

        return before

    try:
        for name, block in zip(chain.names, chain.blocks, strict=True):
            call = run.of(name)
            if call is not None and call.read is not None:
                hook = feed(call.read)
                handles.append(block.register_forward_pre_hook(hook, with_kwargs=True))
        return trace(model, input_ids)
    finally:
        for handle in handles:
            handle.remove()


def find_mixer(run: Trace, other: Trace, block: str) -> Call | None:
    """The outermost module of a block that mixes positions."""
    for call in run.within(block):
        rows = _unchanged(call, other)
        if rows is not None and bool((rows[0] & ~rows[1]).any()):
            return call
    return None


def is_causal(run: Trace, other: Trace, chain: Chain) -> bool:
    """Whether no block changed what stands before the changed token."""
    for name in chain.names:
        rows = _unchanged(run.of(name), other)
        if rows is not None and not bool(rows[0].all()):
            first = int((~rows[0]).nonzero()[0])
            if not bool(rows[1][:first].all()):
                return False
    return True


def has_heads(mixer: nn.Module) -> bool:
    """Whether a module mixes positions by heads alone, not by a convolution or a recurrence."""
    return not any(isinstance(module, _CONVOLUTIONS) for module in mixer.modules())


def _unchanged(call: Call | None, other: Trace) -> tuple[Tensor, Tensor] | None:
    """Which rows a module read, and wrote, alike in both passes; None where that has no meaning."""
    twin = None if call is None else other.of(call.name)
    if call is None or twin is None:
        return None
    found = []
    for a, b in ((call.read, twin.read), (call.wrote, twin.wrote)):
        if a is None or b is None or a.shape != b.shape:
            return None
        found.append(~_differ(a, b).reshape(-1))
    read, wrote = found
    return (read, wrote) if read.shape == wrote.shape else None


def _differ(a: Tensor, b: Tensor) -> Tensor:
    """Which rows are two, up to rounding."""
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-12)
    return (a - b).abs().amax(-1) > 1e-6 * scale


def _with(value: Any, old: Tensor, new: Tensor) -> Any:
    """The same arguments, with one tensor replaced."""
    if value is old:
        return new
    if type(value) in (tuple, list):
        return type(value)(_with(item, old, new) for item in value)
    if type(value) is dict:
        return {key: _with(item, old, new) for key, item in value.items()}
    return value
