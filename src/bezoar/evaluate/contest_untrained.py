"""An autoencoder had it not been trained: as many random directions, as few of them active."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import SAEError
from bezoar.sae import SparseAutoencoder, TopK, geometric_median
from bezoar.sae.topk import TopKOptions


def untrained(
    sae: SparseAutoencoder,
    sample: Float[Tensor, "rows d_model"],
    active: float | int,
    seed: int = 0,
) -> TopK:
    """A dictionary as it is drawn: random unit directions, read and written by the same.

    Whatever the architecture is, as many latents of a token are active as on average in the one
    that was trained: the largest. Of a TopK autoencoder that is its own architecture; the others
    have no sparsity before they are trained.

    Args:
        sae: whose sizes, site and model it has.
        sample: rows of the site, whose geometric median is the point that directions start from.
        active: latents a token of the trained one.
        seed: of the directions.

    Raises:
        SAEError: if the sample has another width.
    """
    if sample.shape[1] != sae.d_model:
        raise SAEError(
            f"Rows of {sample.shape[1]} dimensions for an autoencoder of {sae.d_model}.",
            hint="Give rows of its site.",
        )
    k = min(max(1, round(active)), sae.d_sae)
    drawn = TopK(sae.d_model, sae.d_sae, TopKOptions(k=k))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        drawn.W_dec.normal_(generator=generator)
        drawn.W_dec.div_(drawn.W_dec.norm(dim=1, keepdim=True))
        drawn.W_enc.copy_(drawn.W_dec.T)
        drawn.b_dec.copy_(geometric_median(sample.float().cpu()))
    drawn.info = replace(
        drawn.info,
        site=sae.info.site,
        model=sae.info.model,
        fingerprint=sae.info.fingerprint,
        trained_on="nothing",
        seed=seed,
    )
    return drawn.requires_grad_(False).eval()
