"""Choose tokens so that runs pair: one random stream for each prompt and sample, whatever the batch.

A token is drawn by inverting the cumulative distribution in order of token id at a uniform number that
depends only on (seed, prompt text, sample index, step). Under an edit that moves the distribution
little, the same uniform number mostly gives the same token, so differences between two models are not
drowned in the noise of sampling.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bezoar.models.generations import Decoding


def uniforms(seed: int, prompt: str, sample: int, steps: int) -> Float[np.ndarray, " steps"]:
    """The first ``steps`` uniform numbers of a prompt's sample; a longer stream only continues it."""
    name = f"{seed}\0{sample}\0{prompt}".encode(errors="surrogatepass")
    key = int.from_bytes(hashlib.sha256(name).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key)).random(steps)


def choose(
    logits: Float[Tensor, "row d_vocab"], u: Float[Tensor, " row"] | None, decoding: Decoding
) -> Int[Tensor, " row"]:
    """The next token of each row: the likeliest, or the one at ``u`` in the cumulative distribution."""
    if not decoding.sample or u is None:
        return logits.argmax(-1)
    mass = distribution(logits, decoding).cumsum(-1)
    # Scaled by the last entry, so that rounding cannot leave u beyond it.
    target = u.to(mass.dtype).unsqueeze(-1) * mass[:, -1:]
    return torch.searchsorted(mass, target, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def distribution(
    logits: Float[Tensor, "row d_vocab"], decoding: Decoding
) -> Float[Tensor, "row d_vocab"]:
    """Probabilities in float64 after temperature, then top-k, then top-p.

    Top-p keeps the smallest set of likeliest tokens whose probability reaches ``top_p``.
    """
    logits = logits.double() / decoding.temperature
    if 0 < decoding.top_k < logits.shape[-1]:
        kth = logits.topk(decoding.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < kth, float("-inf"))
    probabilities = logits.softmax(-1)
    if decoding.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        unneeded = ordered.cumsum(-1) - ordered >= decoding.top_p
        probabilities = probabilities.masked_fill(
            torch.zeros_like(unneeded).scatter(-1, order, unneeded), 0.0
        )
    return probabilities
