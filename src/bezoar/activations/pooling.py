"""From one vector a token to one a text, on the device, with padding left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from bezoar.errors import ConfigError, did_you_mean

Pooling = Literal["mean", "max", "last", "none"]
"""``none`` keeps a row for every token."""

Pooler = Callable[[Tensor], Tensor]


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
    if pooling == "mean":
        weights = (mask / mask.sum(-1, keepdim=True)).unsqueeze(1)  # [batch 1 pos]
        return lambda values: torch.bmm(weights, values.float()).squeeze(1)
    if pooling == "max":
        padding = ~mask.unsqueeze(-1)
        return lambda values: values.float().masked_fill(padding, -torch.inf).amax(1)
    if pooling == "last":
        last = torch.where(mask, torch.arange(mask.shape[1], device=mask.device), -1).amax(-1)
        rows = torch.arange(len(mask), device=mask.device)
        return lambda values: values[rows, last].float()
    if bool(mask.all()):
        return lambda values: values.flatten(0, 1).float()
    kept = mask.flatten().nonzero().squeeze(1)
    return lambda values: values.flatten(0, 1).index_select(0, kept).float()
