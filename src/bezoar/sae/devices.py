"""Where autoencoders are trained: a CPU or an accelerator, and how rows get there in time.

The same products are computed everywhere. Whatever is random is drawn on a CPU, so that a seed
means the same weights on every device, and nothing is added atomically.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import ConfigError

Precision = Literal["highest", "high", "medium"]
_FUSED = ("cpu", "cuda", "xpu")
_HELD = 2**27  # numbers: an accelerator wants large products, a CPU those that its caches hold


def place(device: str | torch.device | None) -> torch.device:
    """A device by its name; the CPU if None.

    Raises:
        ConfigError: if there is no such device here.
    """
    try:
        found = torch.device("cpu" if device is None else device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:  # torch raises either for a missing device
        raise ConfigError(
            f"Nothing can be trained on the device {str(device)!r}: {str(error).splitlines()[0]}",
            hint="Devices are cpu, cuda, cuda:1, mps; leave it out for cpu.",
        ) from error
    return found


def fused(device: torch.device) -> bool:
    """Whether Adam can take a step there in one pass over the weights."""
    return device.type in _FUSED


def rows_at_once(d_sae: int, device: torch.device, on_cpu: int) -> int:
    """Rows whose pre-activations are held together where only few of them are kept.

    Args:
        d_sae: latents.
        device: that holds them.
        on_cpu: numbers that a CPU should hold.
    """
    return max(1, (on_cpu if device.type == "cpu" else _HELD) // d_sae)


@contextlib.contextmanager
def multiplying(precision: Precision) -> Iterator[None]:
    """Multiply float32 as torch's ``set_float32_matmul_precision`` says; then as before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def ahead(
    batches: Iterator[tuple[int, Tensor]], device: torch.device
) -> Iterator[tuple[int, Float[Tensor, "batch d"]]]:
    """The same batches on a device, each on its way while the one before is learned from.

    Args:
        batches: numbered, on a CPU; one more is read than has been given.
        device: where they shall be. On a CPU nothing is read before it is asked for.
    """
    if device.type == "cpu":
        yield from batches
        return
    carrier = _Carrier(device)
    waiting: tuple[int, Tensor] | None = None
    for number, rows in batches:
        sent = carrier.send(rows)
        if waiting is not None:
            yield waiting[0], carrier.received(waiting[1])
        waiting = number, sent
    if waiting is not None:
        yield waiting[0], carrier.received(waiting[1])


class _Carrier:
    """Copies rows to a device: on CUDA from pinned memory and beside the computation."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, rows: Tensor) -> Tensor:
        """Begin to copy; what comes back may be read once it is `received`."""
        if self._stream is None:
            return rows.to(self._device)
        with torch.cuda.stream(self._stream):
            return rows.pin_memory().to(self._device, non_blocking=True)

    def received(self, rows: Tensor) -> Tensor:
        """Have the computation wait for all that was sent, and the memory for the computation."""
        if self._stream is not None:
            computing = torch.cuda.current_stream(self._device)
            computing.wait_stream(self._stream)
            rows.record_stream(computing)
        return rows
