"""The active latents of rows, without the zeros between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


class Codes(NamedTuple):
    """The active latents of rows; unused places have value 0 and index 0.

    Attributes:
        indices: of the latents.
        values: of the same, float32.
    """

    indices: Int64[Tensor, "rows k"]
    values: Float[Tensor, "rows k"]


def sparsify(latents: Float[Tensor, "rows d_sae"]) -> Codes:
    """The latents that are not zero, in order, at the front of as few columns as hold them."""
    active = latents > 0
    counts = active.sum(1)
    k = max(int(counts.max()) if len(counts) else 0, 1)
    rows, columns = active.nonzero(as_tuple=True)
    places = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    indices = torch.zeros(len(latents), k, dtype=torch.int64, device=latents.device)
    values = torch.zeros(len(latents), k, dtype=latents.dtype, device=latents.device)
    indices[rows, places] = columns
    values[rows, places] = latents[rows, columns]
    return Codes(indices, values)


def join(parts: Sequence[Codes]) -> Codes:
    """Codes of rows one after the other, as wide as the widest."""
    k = max(part.values.shape[1] for part in parts)
    wide = [F.pad(part.indices, (0, k - part.indices.shape[1])) for part in parts]
    values = [F.pad(part.values, (0, k - part.values.shape[1])) for part in parts]
    return Codes(torch.cat(wide), torch.cat(values))
