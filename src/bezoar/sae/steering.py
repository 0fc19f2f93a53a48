"""Latents of an autoencoder as an operation that an edit can hold, save and undo."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bezoar.edits import SteerLatents
from bezoar.errors import SAEError
from bezoar.sae.base import SparseAutoencoder


@torch.no_grad()
def steer_latents(
    sae: SparseAutoencoder,
    ids: Int64[Tensor, " k"],
    *,
    factor: Float[Tensor, " k"] | float = 0.0,
    value: Float[Tensor, " k"] | float = 0.0,
) -> SteerLatents:
    """The operation x ↦ x + Σᵢ (factorᵢ·fᵢ(x) + valueᵢ − fᵢ(x))·dᵢ over chosen latents.

    It holds their rows of the encoder and the decoder alone, and the whole encoder where latents
    compete (TopK); the autoencoder is not needed afterwards. The form is the one that the
    autoencoder is saved in: BatchTopK and Matryoshka have a threshold by then.

    Args:
        sae: whose latents.
        ids: their numbers.
        factor: 0 ablates, 1 leaves as it is; of each, or of all.
        value: what is added: with a factor of 0 a latent is clamped to it.

    Raises:
        SAEError: if there is no such latent, or the architecture has a form of its own.
    """
    chosen, n = ids.tolist(), sae.d_sae
    if not chosen or len({*chosen}) < len(chosen) or not 0 <= min(chosen) <= max(chosen) < n:
        raise SAEError(
            f"Latents {_some(chosen)} of {n} cannot be steered.",
            hint=f"Name each once, from 0 to {n - 1}.",
        )
    form, more, tensors = sae.exported()
    part = {name: tensor.detach().float().cpu() for name, tensor in tensors.items()}
    nothing = torch.zeros(len(ids))
    threshold, gain, shift, active = nothing, nothing + 1, nothing, 0
    bias = part["b_gate" if form == "gated" else "b_enc"]
    if form == "gated":
        gain = part["r_mag"][ids].exp()
        shift = part["b_mag"][ids] - gain * bias[ids]
    elif form == "jumprelu":
        threshold = part["threshold"][ids]
    elif form == "topk":
        active = int(more["k"])
    elif form != "standard":
        raise SAEError(
            f"Latents of {sae.architecture!r} ({form}) cannot be steered.",
            hint="Steered are those that are saved as standard, topk, jumprelu or gated.",
        )
    rows = torch.cat([ids, _others(n, ids)]) if active else ids
    encoder = part["W_enc"].T[rows]
    return SteerLatents(
        encoder=encoder.contiguous(),
        bias=bias[rows] - encoder @ part["b_dec"],
        decoder=part["W_dec"][ids],
        threshold=threshold,
        gain=gain,
        shift=shift,
        factor=nothing + factor,
        value=nothing + value,
        active=active,
        ids=tuple(chosen),
    )


def _others(n: int, ids: Int64[Tensor, " k"]) -> Int64[Tensor, " others"]:
    free = torch.ones(n, dtype=torch.bool)
    free[ids] = False
    return free.nonzero().flatten()


def _some(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:4])) + " …" * (len(ids) > 4) if ids else "of no number"
