"""What every module of a model read and wrote in one small forward pass, in order of the calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bezoar.models.arguments import accepted


@dataclass(slots=True)
class Call:
    """One call of a module. Tensors are float32 copies on the CPU, None where none passed."""

    name: str
    module: nn.Module
    read: Tensor | None
    start: int
    wrote: Tensor | None = None
    end: int = -1
    overwritten: bool = False

    @property
    def d_in(self) -> int | None:
        return None if self.read is None else self.read.shape[-1]

    @property
    def d_out(self) -> int | None:
        return None if self.wrote is None else self.wrote.shape[-1]


class Trace:
    """The calls of one forward pass. ``start`` and ``end`` of a call count both kinds of event."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self._first: dict[str, Call] = {}
        for call in calls:
            self._first.setdefault(call.name, call)

    def of(self, name: str) -> Call | None:
        """The first call of the module of that name."""
        return self._first.get(name)

    def within(self, name: str) -> list[Call]:
        """The calls of the modules strictly inside the named one, in order of their start."""
        return [call for call in self.calls if call.name.startswith(f"{name}.")]


def first_tensor(value: Any) -> Tensor | None:
    """The first floating tensor with a feature dimension in a module's arguments or output."""
    for item in _flat(value):
        if isinstance(item, Tensor) and item.is_floating_point() and item.ndim >= 2:
            return item
    return None


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):  # includes transformers' ModelOutput
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def close(a: Tensor | None, b: Tensor | None, tolerance: float = 1e-4) -> bool:
    """Whether two tensors hold the same numbers, up to ``tolerance`` of their largest entry."""
    if a is None or b is None or a.numel() != b.numel():
        return False
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-12)
    return float((a.reshape(-1) - b.reshape(-1)).abs().max()) <= tolerance * scale


@torch.no_grad()
def trace(model: nn.Module, input_ids: Tensor) -> Trace:
    """Run ``model`` on [batch pos] ids and record every call of every named module."""
    calls: list[Call] = []
    live: list[tuple[Call, Tensor, int]] = []
    stack: list[Call] = []
    clock = iter(range(1 << 60))
    names = {module: name for name, module in model.named_modules()}

    def copy(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().to("cpu", torch.float32, copy=True)

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        call = Call(names[module], module, copy(first_tensor((args, kwargs))), next(clock))
        calls.append(call)
        stack.append(call)

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        call = stack.pop()
        wrote = first_tensor(output)
        call.wrote, call.end = copy(wrote), next(clock)
        if wrote is not None:
            live.append((call, wrote, wrote._version))

    handles = []
    try:
        for module in names:
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
        arguments = {"input_ids": input_ids, "use_cache": False}
        model(**accepted(model, arguments))
    finally:
        for handle in handles:
            handle.remove()
    for call, tensor, version in live:
        call.overwritten = tensor._version != version
    return Trace(calls)
