"""Linear maps whatever their storage: a matrix [out, in], its transpose, or packed.

A *plain* map holds its matrix as an ordinary parameter and is seen through a view. Any other module
that says how wide it is (``in_features``, ``out_features``: quantised layers, adapters around a
layer) is read from the outside: by its own ``dequantize()``, or by what it does to the identity
matrix. What it gives is a copy; the numbers it stores are never interpreted.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from bezoar.errors import UnsupportedAnatomy
from bezoar.models.offload import fetched

_WIDTHS = (("in_features", "out_features"), ("infeatures", "outfeatures"))


def is_linear(module: nn.Module) -> bool:
    """Whether a module is one matrix and perhaps a bias, or says that it is as wide as one."""
    if isinstance(module, nn.Embedding):
        return False
    return is_plain(module) or isinstance(module, nn.Linear) or _declared(module) is not None


def is_plain(module: nn.Module) -> bool:
    """Whether a map's matrix is an ordinary floating parameter of its own."""
    weight = module._parameters.get("weight")
    if isinstance(module, nn.Embedding) or type(weight) is not nn.Parameter or weight.ndim != 2:
        return False
    declared = _declared(module)
    return (
        next(module.children(), None) is None
        and weight.is_floating_point()
        and weight.element_size() >= 2
        and (declared is None or declared == (weight.shape[1], weight.shape[0]))
    )


def _declared(module: nn.Module) -> tuple[int, int] | None:
    """(in, out), if the module says so."""
    for names in _WIDTHS:
        widths = tuple(getattr(module, name, None) for name in names)
        if all(isinstance(width, int) and width > 0 for width in widths):
            return widths  # type: ignore[return-value]
    return None


def widths_of(module: nn.Module) -> tuple[int, int]:
    """How wide a linear map's input and output are.

    Raises:
        UnsupportedAnatomy: if it is packed and does not say.
    """
    if is_plain(module):
        rows, columns = module.weight.shape  # type: ignore[union-attr, misc]
        return (rows, columns) if isinstance(module, Conv1D) else (columns, rows)
    if (declared := _declared(module)) is not None:
        return declared
    raise UnsupportedAnatomy(
        f"The width of a {type(module).__name__} is not known: it holds no plain matrix and has no "
        "in_features and out_features.",
        hint="Residual sites still work.",
    )


def out_in_weight(module: nn.Module) -> Float[Tensor, "d_out d_in"]:
    """The matrix of a linear map, outputs in rows.

    Of a plain map it is a view (``Conv1D`` stores the transpose): writing into it changes the
    model. Of a packed or an offloaded one it is a copy. It carries no gradient.

    Raises:
        UnsupportedAnatomy: if the module is packed and does not act as a matrix.
    """
    if not is_plain(module):
        return dequantised(module)
    with fetched(module):
        weight: Tensor = module.weight.detach()  # type: ignore[union-attr, operator]
    return weight.T if isinstance(module, Conv1D) else weight


def bias_of(module: nn.Module) -> Float[Tensor, " d_out"] | None:
    """The bias of a linear map, if it has one."""
    with fetched(module):
        bias = getattr(module, "bias", None)
        return bias.detach() if isinstance(bias, Tensor) else None


@torch.no_grad()
def dequantised(module: nn.Module) -> Float[Tensor, "d_out d_in"]:
    """A copy of the matrix that a packed map acts as.

    Raises:
        UnsupportedAnatomy: if it does not act as one (its rounding may depend on the input).
    """
    d_in, d_out = widths_of(module)
    own = getattr(module, "dequantize", None)
    matrix = own() if callable(own) else None
    if isinstance(matrix, Tensor) and matrix.is_floating_point():
        for candidate in (matrix, matrix.T):
            if candidate.shape == (d_out, d_in) and _acts_as(module, candidate):
                return candidate.detach().clone()
    like = _like(module)
    matrix = _apply(module, torch.eye(d_in).to(like)).T
    matrix = (matrix - _apply(module, like.new_zeros(1, d_in)).T).contiguous()
    if matrix.shape != (d_out, d_in) or not _acts_as(module, matrix):
        raise UnsupportedAnatomy(
            f"A {type(module).__name__} is packed, and no matrix does what it does.",
            hint="Load the model without quantisation to see its keys and values; sites and "
            "activation edits work as they are.",
        )
    return matrix


def _acts_as(module: nn.Module, matrix: Tensor) -> bool:
    """Whether the module is ``x W^T + b``, tried on random rows."""
    like = _like(module)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, matrix.shape[1], generator=generator).to(like)
    moved = _apply(module, x) - _apply(module, torch.zeros_like(x))
    expected = x.float() @ matrix.to(x.device).float().T
    allowed = 1e-3 if like.dtype == torch.float32 else 2e-2
    scale = max(float(expected.abs().max()), 1e-12)
    return float((moved.float() - expected).abs().max()) <= allowed * scale


def _apply(module: nn.Module, x: Tensor) -> Tensor:
    # Not module(x): hooks that read or edit a site there are none of this.
    out: Tensor = module.forward(x)
    return out.detach()


def _like(module: nn.Module) -> Tensor:
    """An empty tensor of the device and type in which a packed map computes."""
    held = [*module.parameters(), *module.buffers()]
    floating = [t.dtype for t in held if t.is_floating_point() and t.element_size() >= 2]
    device = held[0].device if held else torch.device("cpu")
    return torch.empty(0, dtype=floating[0] if floating else torch.float32, device=device)
