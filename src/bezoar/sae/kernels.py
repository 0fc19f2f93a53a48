"""Sparse products: what a decoder and its gradients cost when few latents are active.

A dense layer multiplies [batch d_sae] matrices three times for the gradients and once for the
reconstruction, and nearly all of their numbers are zero. Here a batch's codes are pairs (row,
latent) with a value, and

    x̂_r     = Σ_j v_rj W_dec[i_rj]                     a weighted bag of decoder rows
    ∂L/∂v_rj = ⟨∂L/∂x̂_r, W_dec[i_rj]⟩                  one product a pair
    ∂L/∂W[i] = Σ_{(r,j): i_rj = i} v_rj ∂L/∂x̂_r        pairs sorted by latent, a bag of rows each

so that only the encoder's product x W_enc is dense. No atomic additions: sums have one order, and
equal inputs give equal bytes on a CPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

GROUP = 32  # latents a group: the k largest lie in the k groups of the largest maxima


class Pairs(NamedTuple):
    """The active pairs of a batch, sorted by latent.

    Attributes:
        places: of each pair in the flattened codes [rows * k].
        rows: of each pair.
        starts: where the pairs of each latent begin, one for every latent.
    """

    places: Int64[Tensor, " pairs"]
    rows: Int64[Tensor, " pairs"]
    starts: Int64[Tensor, " d_sae"]


def sort_pairs(
    indices: Int64[Tensor, "rows k"], values: Float[Tensor, "rows k"], d_sae: int
) -> Pairs:
    """The pairs whose value is not zero, by latent and then by row."""
    flat = indices.flatten()
    places = values.flatten().nonzero().flatten()
    order = torch.argsort(flat[places], stable=True)
    places = places[order]
    counts = torch.bincount(flat[places], minlength=d_sae)
    return Pairs(places, places // indices.shape[1], counts.cumsum(0) - counts)


def gather_sum(
    table: Float[Tensor, "n d"], indices: Int64[Tensor, "rows k"], values: Float[Tensor, "rows k"]
) -> Float[Tensor, "rows d"]:
    """``Σ_j values[r, j] · table[indices[r, j]]``; differentiable in the values alone."""
    return F.embedding_bag(indices, table.detach(), per_sample_weights=values, mode="sum")


def sum_by_latent(
    rows: Float[Tensor, "rows d"], values: Float[Tensor, "rows k"], pairs: Pairs
) -> Float[Tensor, "d_sae d"]:
    """``Σ values[r, j] · rows[r]`` over the pairs of each latent; zero where it has none."""
    weights = values.flatten()[pairs.places]
    return F.embedding_bag(pairs.rows, rows, pairs.starts, per_sample_weights=weights, mode="sum")


def largest(
    scores: Float[Tensor, "rows n"], k: int
) -> tuple[Float[Tensor, "rows k"], Int64[Tensor, "rows k"]]:
    """The k largest of each row and where they are, in no order; ties fall either way.

    Exact, and faster than one search: each of the k largest lies in one of the k groups with the
    largest maxima, so that only those groups are searched.
    """
    rows, n = scores.shape
    if n % GROUP or n // GROUP < 4 * k:
        found = scores.topk(k, dim=1, sorted=False)
        return found.values, found.indices
    groups = n // GROUP  # group g holds every groups-th column from g on
    table = scores.view(rows, GROUP, groups)
    best = table.amax(1).topk(k, dim=1, sorted=False).indices
    members = table.gather(2, best[:, None].expand(rows, GROUP, k)).reshape(rows, GROUP * k)
    values, at = members.topk(k, dim=1, sorted=False)
    return values, at // k * groups + best.gather(1, at % k)


class _WithWeights(torch.autograd.Function):
    """A reconstruction as it is; backwards, the gradient of the decoder's weights."""

    @staticmethod
    def forward(ctx: Any, decoded: Tensor, values: Tensor, W_dec: Tensor, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(values)
        ctx.pairs = pairs
        return decoded.view_as(decoded)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor, None]:  # type: ignore[override]
        (values,) = ctx.saved_tensors
        return grad, None, sum_by_latent(grad.contiguous(), values, ctx.pairs), None


def sparse_decode(
    values: Float[Tensor, "rows k"],
    indices: Int64[Tensor, "rows k"],
    W_dec: Float[Tensor, "d_sae d_model"],
    pairs: Pairs,
) -> Float[Tensor, "rows d_model"]:
    """``Σ_j v_rj W_dec[i_rj]``, differentiable in values and weights, nothing dense."""
    decoded = gather_sum(W_dec, indices, values)
    return _WithWeights.apply(decoded, values.detach(), W_dec, pairs)  # type: ignore[no-any-return]


class _Selected(torch.autograd.Function):
    """Chosen latents' values as they are; backwards, gradients of all that they were made from."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        centred: Tensor,
        W_enc: Tensor,
        b_enc: Tensor,
        b_dec: Tensor,
        indices: Tensor,
        pairs: Pairs,
    ) -> Tensor:
        ctx.save_for_backward(centred, W_enc, indices)
        ctx.pairs = pairs
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        centred, W_enc, indices = ctx.saved_tensors
        pairs: Pairs = ctx.pairs
        by_latent = sum_by_latent(centred, grad, pairs)
        active = grad.flatten()[pairs.places]
        bias = torch.zeros(W_enc.shape[1], dtype=grad.dtype, device=grad.device)
        bias.index_add_(0, indices.flatten()[pairs.places], active)
        # Every row enters as x_r − b_dec, so its bias collects −Σ_r ∂L/∂(x_r − b_dec).
        return None, None, by_latent.T, bias, -(W_enc @ bias), None, None


def selected_values(
    values: Float[Tensor, "rows k"],
    centred: Float[Tensor, "rows d_model"],
    W_enc: Float[Tensor, "d_model d_sae"],
    b_enc: Float[Tensor, " d_sae"],
    b_dec: Float[Tensor, " d_model"],
    indices: Int64[Tensor, "rows k"],
    pairs: Pairs,
) -> Float[Tensor, "rows k"]:
    """Values ``relu((x − b_dec) W_enc + b_enc)`` of chosen latents, made differentiable.

    Args:
        values: already computed; zero where inactive, which gives no gradient, as with ReLU.
        centred: ``x − b_dec``, detached.
        W_enc, b_enc, b_dec: what gradients go to.
        indices: the chosen latents.
        pairs: `sort_pairs` of these indices and values.
    """
    return _Selected.apply(  # type: ignore[no-any-return]
        values, centred, W_enc, b_enc, b_dec, indices, pairs
    )
