"""Small autoencoders with weights that are no special case."""

from __future__ import annotations

import torch

from bezoar.sae import SAESpec, SparseAutoencoder, get_architecture

SPECS = ("relu", "topk:k=4", "batch_topk:k=4", "jumprelu", "gated", "matryoshka:k=4")


def random_sae(spec: str = "topk:k=4", d: int = 16, n: int = 64, seed: int = 0):
    """An autoencoder of random weights, decoder rows of norm 1."""
    parsed = SAESpec.parse(spec)
    generator = torch.Generator().manual_seed(seed)
    sae: SparseAutoencoder = get_architecture(parsed.architecture)(d, n, parsed.own)
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            scale = 0.1 if name in ("b_mag", "r_mag") else d**-0.5
            drawn = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(drawn.abs() if name == "threshold" else drawn)
        sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True))
        if "threshold" in dict(sae.named_buffers()):
            sae.threshold.fill_(0.2)
    return sae


def random_rows(n: int = 50, d: int = 16, seed: int = 1):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
