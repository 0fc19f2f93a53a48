"""A device that is not there: its tensors compute on the CPU, and refuse to meet the CPU's own.

What would fail on an accelerator, because a tensor was left on the CPU or made there, fails here.
Values are right, so that what comes out can be held against the same work done on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")  # the one device that every build has, and nothing is computed on
_COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)


class There(torch.Tensor):
    """A tensor that says it is on the device, and holds its numbers on the CPU."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> There:
        return torch.Tensor._make_wrapper_subclass(
            *(cls, held.size()),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):
    """While it lasts, tensors can be made on the device.

    Attributes:
        used: names of the operations that ran there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = _run(func, args, kwargs or {})
        if any(isinstance(leaf, There) for leaf in tree_leaves(out)):
            self.used.add(str(func))
        return out


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    leaves = tree_leaves((args, kwargs))
    there = any(isinstance(leaf, There) for leaf in leaves)
    # As on an accelerator: a number may come from the CPU, and a copy may go between the two.
    here = [
        leaf
        for leaf in leaves
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, There) and leaf.dim()
    ]
    if there and here and func not in _COPIES:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in here)
        raise RuntimeError(f"{func} of tensors on the device and, on the CPU, {shapes}")
    if there and any(isinstance(leaf, torch.Generator) for leaf in leaves):
        raise RuntimeError(f"{func} on the device with a generator of the CPU")
    device = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    if device is not None:
        there = device == DEVICE
    elif func is torch.ops.aten.copy_.default:
        there = isinstance(args[0], There)
    out = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    return tree_map(_sent, out) if there else out


def _held(leaf: Any) -> Any:
    if isinstance(leaf, torch.device):
        return torch.device("cpu")
    return leaf.held if isinstance(leaf, There) else leaf


def _sent(leaf: Any) -> Any:
    return There(leaf) if isinstance(leaf, torch.Tensor) else leaf
