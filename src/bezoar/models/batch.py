"""Token ids as padded tensors, with the mask and positions that make padding invisible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from bezoar.errors import DataError

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded token ids.

    Attributes:
        input_ids: [batch pos] token ids.
        attention_mask: [batch pos], 1 at real tokens, 0 at padding.
        position_ids: [batch pos], counted from the first real token of each row.
    """

    input_ids: Int[Tensor, "batch pos"]
    attention_mask: Int[Tensor, "batch pos"]
    position_ids: Int[Tensor, "batch pos"]

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    @property
    def mask(self) -> Tensor:
        """[batch pos], true at real tokens."""
        return self.attention_mask.bool()

    @property
    def lengths(self) -> Tensor:
        """[batch] numbers of real tokens."""
        return self.attention_mask.sum(-1)

    @property
    def padded(self) -> bool:
        """Whether any row is shorter than the longest."""
        return not bool(self.attention_mask.all())

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(
            self.input_ids.to(device), self.attention_mask.to(device), self.position_ids.to(device)
        )


def make_batch(
    ids: Sequence[Sequence[int]], *, pad_id: int, side: Side = "right", length: int | None = None
) -> Batch:
    """Pad rows of token ids to the longest of them, or to ``length``.

    Padding positions repeat position 0 on the left and count on at the right; both are masked.

    Raises:
        DataError: if there is no row, or a row is empty.
    """
    lengths = [len(row) for row in ids]
    if not lengths or min(lengths) == 0:
        what = f"row {lengths.index(0)} has no tokens" if lengths else "there are no rows"
        raise DataError(
            f"A batch cannot be made: {what}.", hint="Drop empty texts first (corpus.clean does)."
        )
    width = max(max(lengths), length or 0)
    input_ids = torch.full((len(ids), width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(input_ids)
    for row, tokens in enumerate(ids):
        where = slice(width - len(tokens), width) if side == "left" else slice(len(tokens))
        input_ids[row, where] = torch.tensor(tokens, dtype=torch.long)
        mask[row, where] = 1
    if side == "left":
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
    else:
        positions = torch.arange(width).expand(len(ids), -1).contiguous()
    return Batch(input_ids, mask, positions)
