"""Rows that readers of states see: activations of a site pooled over each text's tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from bezoar.activations.pooling import check_pooling
from bezoar.errors import ConfigError
from bezoar.sae.token_rows import Texts, TokenRows, check_texts

POOLINGS = ("mean", "max", "last")


def pooled_rows(
    tokens: TokenRows, poolings: Sequence[str], texts: Texts | None = None
) -> dict[str, Float32[np.ndarray, "texts d"]]:
    """Activations of whole texts, pooled in each of these ways, from one pass over their tokens.

    Args:
        tokens: rows of one site, one a token.
        poolings: "mean", "max" or "last".
        texts: which, and in which order; None for all.

    Raises:
        ConfigError: if there is no such pooling.
        DataError: if there is no such text.
    """
    for pooling in poolings:
        check_pooling(pooling)
        if pooling == "none":
            raise ConfigError("'none' does not pool.", hint=f"Use {', '.join(POOLINGS)}.")
    chosen = check_texts(texts, len(tokens.lengths))
    place = np.empty(len(tokens.lengths), np.int64)
    place[chosen] = np.arange(len(chosen))
    found = {name: np.empty((len(chosen), tokens.d), np.float32) for name in poolings}
    for block in tokens.blocks(chosen):
        to = place[block.texts]
        for name, rows in found.items():
            rows[to] = pool_lengths(block.rows, block.lengths, name).numpy()
    return found


def pool_lengths(
    rows: Float[Tensor, "rows d"], lengths: Int64[np.ndarray, " texts"], pooling: str
) -> Float[Tensor, "texts d"]:
    """Rows of whole texts, text after text, pooled over each."""
    counts = torch.from_numpy(lengths)
    if pooling == "last":
        return rows[counts.cumsum(0) - 1]
    return torch.segment_reduce(rows.float().cpu(), pooling, lengths=counts, axis=0)
