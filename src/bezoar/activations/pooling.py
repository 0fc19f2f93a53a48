"""From one vector a token to one a text, on the device, with padding left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from bezoar.errors import ConfigError, did_you_mean

Pooling = Literal["mean", "max", "last", "none"]
"""``none`` keeps a row for every token."""

Write = Callable[[Tensor, Tensor], object]
Reduce = Callable[[Tensor], Tensor]

_SHORT = 16
"""Tokens of a run below which a copy costs less than the call that makes it."""


@dataclass(frozen=True, slots=True)
class Pooler:
    """:func:`pool` for one mask.

    Attributes:
        rows: how many rows it gives.
    """

    rows: int
    _write: Write

    def __call__(
        self, values: Float[Tensor, "batch pos d"], out: Float[Tensor, "rows d"] | None = None
    ) -> Float[Tensor, "rows d"]:
        """The pooled rows: new ones in float32, or in ``out`` and its dtype."""
        if out is None:
            out = values.new_empty(self.rows, values.shape[-1], dtype=torch.float32)
        self._write(values, out)
        return out


def check_pooling(pooling: str) -> None:
    """Refuse a name that is no pooling."""
    if pooling not in get_args(Pooling):
        raise ConfigError(
            f"There is no pooling {pooling!r}.", hint=did_you_mean(pooling, get_args(Pooling))
        )


def pool(
    values: Float[Tensor, "batch pos d"], mask: Bool[Tensor, "batch pos"], pooling: Pooling
) -> Float32[Tensor, "rows d"]:
    """Reduce values over the positions where ``mask`` is true; computed in float32.

    Args:
        values: activations, padding included.
        mask: true at real tokens; at least one in every row.
        pooling: ``mean`` and ``max`` over tokens, the ``last`` token, or ``none``: all of them,
            text after text.

    Returns:
        One row a text; with ``none``, one a token.
    """
    return pooler(mask, pooling)(values)


def pooler(mask: Bool[Tensor, "batch pos"], pooling: Pooling) -> Pooler:
    """:func:`pool` for one mask and many sites: what depends on the mask is computed once."""
    check_pooling(pooling)
    if pooling == "none":
        return Pooler(int(mask.sum()), _gather(mask))
    reduce = _REDUCTIONS[pooling](mask)
    return Pooler(len(mask), lambda values, out: out.copy_(reduce(values)))


def _mean(mask: Bool[Tensor, "batch pos"]) -> Reduce:
    weights = (mask / mask.sum(-1, keepdim=True)).unsqueeze(1)  # [batch 1 pos]
    return lambda values: torch.bmm(weights, values.float()).squeeze(1)


def _max(mask: Bool[Tensor, "batch pos"]) -> Reduce:
    padding = ~mask.unsqueeze(-1)
    return lambda values: values.float().masked_fill(padding, -torch.inf).amax(1)


def _last(mask: Bool[Tensor, "batch pos"]) -> Reduce:
    last = torch.where(mask, torch.arange(mask.shape[1], device=mask.device), -1).amax(-1)
    rows = torch.arange(len(mask), device=mask.device)
    return lambda values: values[rows, last]


_REDUCTIONS: dict[str, Callable[[Tensor], Reduce]] = {"mean": _mean, "max": _max, "last": _last}


def _gather(mask: Bool[Tensor, "batch pos"]) -> Write:
    """Copies the tokens where ``mask`` is true, text after text."""
    kept = mask.flatten().nonzero().squeeze(1)
    ends = (kept.diff() != 1).nonzero().squeeze(1) + 1
    # Straight to where they go, run by run; on a device, or if runs are short, all at once.
    if mask.device.type != "cpu" or _SHORT * (len(ends) + 1) > len(kept):
        return lambda values, out: out.copy_(values.flatten(0, 1).index_select(0, kept))
    starts, stops = [0, *ends.tolist()], [*ends.tolist(), len(kept)]
    begins = kept[starts].tolist()
    runs = [
        (slice(start, stop), slice(begin, begin + stop - start))
        for start, stop, begin in zip(starts, stops, begins, strict=True)
    ]

    def write(values: Tensor, out: Tensor) -> None:
        tokens = values.flatten(0, 1)
        for to, origin in runs:
            out[to].copy_(tokens[origin])

    return write
