"""What keeps latents alive and sparse: the losses beside the reconstruction."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

_CANDIDATES = 4  # × k: so many dead latents are looked at in one step


def dead_latent_loss(
    centred: Float[Tensor, "rows d_model"],
    residual: Float[Tensor, "rows d_model"],
    W_enc: Float[Tensor, "d_model d_sae"],
    b_enc: Float[Tensor, " d_sae"],
    W_dec: Float[Tensor, "d_sae d_model"],
    dead: Int64[Tensor, " dead"],
) -> Float[Tensor, ""]:
    """``mean‖e − ê‖²``: dead latents, the best k of each row, reconstruct what is left.

    AuxK of Gao et al. 2024, section 2.4 and appendix A.2, with k half the width of the site; of
    fewer dead latents than that, the loss weighs in proportion. The first four times k are looked
    at, so that it costs little where many are dead.

    Args:
        centred: ``x − b_dec``, detached.
        residual: ``x − x̂``, detached.
        W_enc, b_enc, W_dec: the whole autoencoder; gradients reach dead latents alone.
        dead: those that have not been active for long.
    """
    half = max(1, centred.shape[1] // 2)
    some = dead[: _CANDIDATES * half]
    k = min(half, len(some))
    pre = torch.addmm(b_enc.index_select(0, some), centred, W_enc.T.index_select(0, some).T)
    best = pre.topk(k, dim=1, sorted=False)
    latents = torch.zeros_like(pre).scatter(1, best.indices, best.values.relu())
    error = (latents @ W_dec.index_select(0, some) - residual).square().sum(1).mean()
    return error * (k / half)


def norm_weighted_l1(
    latents: Float[Tensor, "rows d_sae"], W_dec: Float[Tensor, "d_sae d_model"]
) -> Float[Tensor, ""]:
    """``mean Σ_i f_i ‖W_dec[i]‖``: an L1 penalty that cannot be evaded by small latents.

    The same for ``W_enc·c, b_enc·c, W_dec/c`` with any c > 0 a latent, which are one function.
    """
    return (latents @ W_dec.norm(dim=1)).mean()
