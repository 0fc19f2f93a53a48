"""What several processes do together: means, norms, tensors that are divided among them."""

from __future__ import annotations

import atexit
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from bezoar.errors import ConfigError


def end_in_order(world: Accelerator) -> None:
    """Let the threads of several processes finish before the interpreter of one of them ends.

    gloo's threads drop the last tensors, which Python counts, a moment after their work is done;
    one that waits for the interpreter while it ends aborts the process (seen in torch 2.13).
    """
    atexit.unregister(_give_way)
    if world.num_processes > 1:
        atexit.register(_give_way)


def _give_way() -> None:
    time.sleep(0.5)


def require_agreement(world: Accelerator, key: Mapping[str, Any]) -> None:
    """Refuse processes that would train different things, which no gradient would tell.

    Raises:
        ConfigError: naming what differs.
    """
    if world.num_processes == 1:
        return
    keys = gather_object([dict(key)])
    if differ := sorted(name for name in key if any(key[name] != other[name] for other in keys)):
        raise ConfigError(
            f"The {world.num_processes} processes do not train the same: {', '.join(differ)} "
            "differ.",
            hint="Load the same model, whole, and the same pairs in each.",
        )


def mean_of_all(world: Accelerator, numbers: Sequence[float] | np.ndarray) -> list[float]:
    """The mean of each number over the processes."""
    if world.num_processes == 1:
        return np.asarray(numbers).tolist()
    own = torch.as_tensor(np.asarray(numbers)).to(world.device)
    return world.reduce(own, "mean").tolist()


def clip(parameters: Iterable[nn.Parameter], largest: float) -> float:
    """Scale gradients to a norm no larger; the norm before, of all processes together."""
    norm = nn.utils.clip_grad_norm_(parameters, largest)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def gathered(tensors: Mapping[str, Tensor], here: bool = True) -> dict[str, Tensor]:
    """Whole tensors, on the CPU, from divided ones; others as they are.

    Every process must call it; without ``here`` one takes part and keeps nothing.
    """
    found = {}
    for name, tensor in tensors.items():
        whole = tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor
        if here:
            found[name] = whole
    return found


def as_divided(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, divided as another of its shape is; as it is, if that is whole."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    local = value.to(like.device)
    return distribute_tensor(local, like.device_mesh, like.placements, src_data_rank=None)
