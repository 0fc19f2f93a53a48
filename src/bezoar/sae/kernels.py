"""Sparse products: what a decoder and its gradients cost when few latents are active.

A dense layer multiplies [batch d_sae] matrices once for the reconstruction and three times for the
gradients, and nearly all of their numbers are zero. Here a batch is a list of active pairs (row r,
latent i) with a value v, and

    x̂_r      = Σ_i v_ri W_dec[i]                    a weighted bag of decoder rows
    ∂L/∂v_ri  = ⟨∂L/∂x̂_r, W_dec[i]⟩                 one product a pair
    ∂L/∂W[i]  = Σ_r v_ri ∂L/∂x̂_r                    pairs sorted by latent, a bag of rows each

so that only the encoder's product x W_enc is dense. All of it is torch's own operations, the same
on every device. Nothing is added atomically: sums have one order, and equal inputs give equal bytes
on a CPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

GROUP = 32  # latents a group: the k largest lie in the k groups of the largest maxima


class Pairs(NamedTuple):
    """The active pairs of a batch, by row.

    Attributes:
        latents: of each pair.
        rows: of each pair.
        bags: what each pair is summed into: its row, or a part of it.
        bag_starts: the first pair of each bag.
        order: the pairs sorted by latent.
        latent_starts: the first, in that order, of each latent.
    """

    latents: Int64[Tensor, " pairs"]
    rows: Int64[Tensor, " pairs"]
    bags: Int64[Tensor, " pairs"]
    bag_starts: Int64[Tensor, " bags"]
    order: Int64[Tensor, " pairs"]
    latent_starts: Int64[Tensor, " d_sae"]


def active_pairs(
    indices: Int64[Tensor, "rows k"], values: Float[Tensor, "rows k"], d_sae: int
) -> tuple[Pairs, Float[Tensor, " pairs"]]:
    """The pairs whose value is not zero, and their values."""
    places = values.flatten().nonzero().flatten()
    latents, rows = indices.flatten()[places], places // indices.shape[1]
    order = torch.argsort(latents, stable=True)
    row_starts, latent_starts = _starts(rows, len(values)), _starts(latents, d_sae)
    pairs = Pairs(latents, rows, rows, row_starts, order, latent_starts)
    return pairs, values.flatten()[places]


def split_bags(pairs: Pairs, part: Int64[Tensor, " d_sae"], parts: int) -> tuple[Pairs, Tensor]:
    """The same pairs summed apart: bag ``row * parts + part[latent]``; and the old places of them.

    Args:
        pairs: a bag a row.
        part: of each latent.
        parts: how many.
    """
    bags = pairs.rows * parts + part[pairs.latents]
    moved = torch.argsort(bags, stable=True)
    latents, bags = pairs.latents[moved], bags[moved]
    starts = _starts(bags, len(pairs.bag_starts) * parts)
    order = torch.argsort(latents, stable=True)
    return Pairs(latents, pairs.rows[moved], bags, starts, order, pairs.latent_starts), moved


def _starts(sorted_or_not: Int64[Tensor, " pairs"], n: int) -> Int64[Tensor, " n"]:
    counts = torch.bincount(sorted_or_not, minlength=n)
    return counts.cumsum(0) - counts


def gather_sum(
    table: Float[Tensor, "n d"], indices: Int64[Tensor, "rows k"], values: Float[Tensor, "rows k"]
) -> Float[Tensor, "rows d"]:
    """``Σ_j values[r, j] · table[indices[r, j]]``."""
    return F.embedding_bag(indices, table, per_sample_weights=values, mode="sum")


def _by_latent(
    table: Float[Tensor, "n d"],
    members: Int64[Tensor, " pairs"],
    values: Float[Tensor, " pairs"],
    pairs: Pairs,
) -> Float[Tensor, "d_sae d"]:
    """``Σ values[p] · table[members[p]]`` over the pairs of each latent; zero where it has none."""
    weights = values[pairs.order]
    return F.embedding_bag(
        members[pairs.order], table, pairs.latent_starts, per_sample_weights=weights, mode="sum"
    )


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
        pairs: Pairs = ctx.pairs
        return grad, None, _by_latent(grad.contiguous(), pairs.bags, values, pairs), None


def sparse_decode(
    values: Float[Tensor, " pairs"], W_dec: Float[Tensor, "d_sae d_model"], pairs: Pairs
) -> Float[Tensor, "bags d_model"]:
    """``Σ v W_dec[i]`` over the pairs of each bag, differentiable in both; nothing is dense."""
    decoded = F.embedding_bag(
        pairs.latents, W_dec.detach(), pairs.bag_starts, per_sample_weights=values, mode="sum"
    )
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
        pairs: Pairs,
    ) -> Tensor:
        ctx.save_for_backward(centred, W_enc)
        ctx.pairs = pairs
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        centred, W_enc = ctx.saved_tensors
        pairs: Pairs = ctx.pairs
        weights = _by_latent(centred, pairs.rows, grad, pairs)
        alone = grad[:, None]  # bincount would add these atomically on an accelerator
        bias = F.embedding_bag(pairs.order, alone, pairs.latent_starts, mode="sum").flatten()
        # Every row enters as x_r − b_dec, so its bias collects −Σ_r ∂L/∂(x_r − b_dec).
        return None, None, weights.T, bias, -(W_enc @ bias), None


def selected_values(
    values: Float[Tensor, " pairs"],
    centred: Float[Tensor, "rows d_model"],
    W_enc: Float[Tensor, "d_model d_sae"],
    b_enc: Float[Tensor, " d_sae"],
    b_dec: Float[Tensor, " d_model"],
    pairs: Pairs,
) -> Float[Tensor, " pairs"]:
    """Values ``(x − b_dec) W_enc + b_enc`` of active pairs, made differentiable.

    Args:
        values: already computed; those that ReLU made zero are no pairs and get no gradient.
        centred: ``x − b_dec``, detached.
        W_enc, b_enc, b_dec: what gradients go to.
        pairs: the pairs of these values.
    """
    return _Selected.apply(values, centred, W_enc, b_enc, b_dec, pairs)  # type: ignore[no-any-return]
