"""Autoencoders of random directions on tiny models, for what reads or steers their latents."""

from __future__ import annotations

import dataclasses

import torch

from bezoar.activations import ActivationStore, harvest
from bezoar.mitigate import FitInputs
from bezoar.models import LanguageModel
from bezoar.sae import SparseAutoencoder
from bezoar.sae.profile import profile_latents
from tests.mitigate.remedies import texts_and_labels
from tests.sae.material import random_sae

SITE = "1.resid_post"


def store_of(lm: LanguageModel, site: str = SITE, n: int = 60) -> ActivationStore:
    """Every token of some labelled texts."""
    return harvest(lm, texts_and_labels(n)[0], [site], pooling="none")


def sae_at(
    lm: LanguageModel, spec: str = "topk:k=8", site: str = SITE, d_sae: int = 96
) -> SparseAutoencoder:
    """Untrained, but centred on what it reads: a few latents are active on a token."""
    sae = random_sae(spec, lm.site_width(lm.site(site)), d_sae)
    with torch.no_grad():
        sae.b_dec.copy_(torch.from_numpy(store_of(lm, site, 8).rows(site)).mean(0))
    sae.info = dataclasses.replace(sae.info, site=site, fingerprint=lm.fingerprint, model=lm.name)
    return sae.requires_grad_(False).eval()


def latent_inputs(lm: LanguageModel, spec: str = "topk:k=8", site: str = SITE) -> FitInputs:
    """An autoencoder, and what its latents have to do with the labels."""
    sae, labels = sae_at(lm, spec, site), texts_and_labels(60)[1]
    return FitInputs(sae=sae, latents=profile_latents(sae, store_of(lm, site), labels))
