"""The matrices that attacks on weights change: the linear maps inside the blocks, no embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bezoar.edits import Chain, Delta, Dense, Edit, RowScale, WeightEdit, stores_transposed
from bezoar.errors import EditError
from bezoar.models import LanguageModel, is_plain, out_in_weight

Change = Callable[[Float[Tensor, "d_out d_in"], str], Float[Tensor, "d_out d_in"]]
"""(matrix with outputs in rows, its parameter's name) -> the new matrix, a new tensor."""


def block_matrices(lm: LanguageModel) -> dict[str, nn.Module]:
    """Parameter name -> linear map, for every plain linear map inside the blocks.

    Raises:
        EditError: if there is none: the weights are packed, or wrapped by adapters.
    """
    inside = {id(part) for block in lm.anatomy.blocks for part in block.modules()}
    found = {
        f"{name}.weight": module
        for name, module in lm.model.named_modules()
        if id(module) in inside and is_plain(module)
    }
    if not found:
        raise EditError(
            f"{lm.name} has no plain matrix inside its blocks to attack.",
            hint="Load it without quantisation, and merge adapters.",
        )
    return found


def replaced(new: Float[Tensor, "*shape"]) -> Delta:
    """W ↦ new, to the bit, whatever (finite) W was."""
    return Chain((RowScale(torch.zeros(new.shape[0])), Dense(new)))


@torch.no_grad()
def changed_matrices(
    lm: LanguageModel, remedy: Edit, change: Change, *, name: str, provenance: dict[str, object]
) -> WeightEdit:
    """An edit that sets every block matrix of the *edited* model to what ``change`` makes of it."""
    deltas: dict[str, Delta] = {}
    with remedy.applied_to(lm):
        for parameter, module in block_matrices(lm).items():
            new = change(out_in_weight(module).float(), parameter)
            stored = new.T.contiguous() if stores_transposed(module) else new
            deltas[parameter] = replaced(stored.cpu())
    return WeightEdit(deltas, name=name, provenance=provenance)
