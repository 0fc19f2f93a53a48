"""The rows of an unembedding in float64, a block at a time, wherever and however they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from bezoar.errors import ModelError, UnsupportedAnatomy
from bezoar.models import LanguageModel, out_in_weight
from bezoar.models.offload import fetched

_BLOCK = 2**22  # numbers converted at once: 32 MiB
_FEWEST = 256  # rows


def require_head(lm: LanguageModel) -> None:
    """Refuse a model that has no unembedding.

    Raises:
        UnsupportedAnatomy: saying what to do.
    """
    if not lm.has_unembedding:
        raise UnsupportedAnatomy(
            f"{lm.name} has no unembedding to take apart.",
            hint="Load it with its language-model head.",
        )


def unembedding_rows(
    source: LanguageModel | Float[Tensor, "d_vocab d_model"],
) -> Iterator[Float[Tensor, "rows d_model"]]:
    """Blocks of rows of W_U, in order, on the device where they lie if it has float64.

    A tied matrix is read in its place, an offloaded one fetched for the while, one that is sharded
    over processes gathered; a packed one is dequantised, once, in the precision it computes in.

    Raises:
        UnsupportedAnatomy: if the model has no unembedding, or one that acts as no matrix.
        ModelError: if it has no tokens.
    """
    if not isinstance(source, LanguageModel):
        yield from _blocks(source.detach(), None)
        return
    require_head(source)
    head, before = source.require_unembedding(), source.anatomy.unembed_proj
    with fetched(head), fetched(before):
        projection = None if before is None else _matrix(before)
        yield from _blocks(_matrix(head), projection)


def _blocks(matrix: Tensor, projection: Tensor | None) -> Iterator[Tensor]:
    if not matrix.numel():
        raise ModelError(f"The unembedding is empty: {tuple(matrix.shape)}.")
    wide = None if projection is None else _float64(projection)
    for rows in matrix.split(max(_FEWEST, _BLOCK // matrix.shape[1])):
        yield _float64(rows) if wide is None else _float64(rows) @ wide


def _float64(values: Tensor) -> Tensor:
    return (values.cpu() if values.device.type == "mps" else values).double()


def _matrix(module: nn.Module) -> Tensor:
    gather: Any = getattr(module._parameters.get("weight"), "full_tensor", None)
    return gather().detach() if callable(gather) else out_in_weight(module)
