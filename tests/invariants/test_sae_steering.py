"""Theorem 61: what a splice with the error does, and what ablating a latent does and does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

from bezoar.edits.ops import Op
from bezoar.models import Decoding, generate
from bezoar.sae.steering import steer_latents
from tests.edits.kit import PROMPTS, batch, logits, one
from tests.sae.material import SPECS
from tests.sae.steered import SITE, sae_at


@dataclass(frozen=True, slots=True, eq=False)
class Splice(Op):
    """x ↦ x̂ + (x − x̂), through the autoencoder itself."""

    tag: ClassVar[str] = "splice"
    sae: Any

    @property
    def width(self) -> int:
        return self.sae.d_model

    def apply(self, x):
        reconstruction = self.sae(x)
        return reconstruction + (x - reconstruction)


def activations(lm):
    b = batch(lm)
    return lm.capture(b, [SITE])[lm.site(SITE)][b.mask]


@pytest.mark.parametrize("spec", SPECS)
def test_splicing_in_the_reconstruction_with_its_error_reproduces_the_logits(lm, spec):
    sae = sae_at(lm, spec)
    before = logits(lm)
    with one(SITE, Splice(sae)).applied_to(lm):
        torch.testing.assert_close(logits(lm), before, atol=2e-5, rtol=1e-5)
    with one(SITE, steer_latents(sae, torch.arange(96), factor=1.0)).applied_to(lm):
        assert torch.equal(logits(lm), before)  # nothing is added and taken away: bit for bit


@pytest.mark.parametrize("spec", SPECS)
def test_ablating_latents_that_are_inactive_on_a_batch_changes_nothing(lm, spec):
    sae = sae_at(lm, spec)
    with torch.no_grad():
        sae.b_enc[:9] = -100.0
    latents = sae.encode(activations(lm))
    silent = (latents == 0).all(0).nonzero().flatten()
    assert 9 <= len(silent) < 96
    before, said = logits(lm), generate(lm, PROMPTS, Decoding(max_new_tokens=4)).text
    edit = one(SITE, steer_latents(sae, silent))
    with edit.applied_to(lm):
        assert torch.equal(logits(lm), before)
    never = one(SITE, steer_latents(sae, torch.arange(9)))
    with never.applied_to(lm):
        assert generate(lm, PROMPTS, Decoding(max_new_tokens=4)).text == said
    loudest = int(latents.sum(0).argmax())
    with one(SITE, steer_latents(sae, torch.tensor([loudest]))).applied_to(lm):
        assert not torch.equal(logits(lm), before)


@pytest.mark.parametrize("spec", SPECS)
def test_ablating_a_latent_takes_its_part_from_the_reconstruction_and_from_nothing_else(gpt2, spec):
    sae, x = sae_at(gpt2, spec), activations(gpt2)
    latents = sae.encode(x)
    reconstruction = sae.decode(latents)
    for i in latents.sum(0).topk(3).indices.tolist():
        without = latents.clone()
        without[:, i] = 0
        part = latents[:, i, None] * sae.W_dec[i]
        assert part.norm() > 0
        torch.testing.assert_close(sae.decode(without), reconstruction - part, atol=1e-5, rtol=1e-5)
        op = steer_latents(sae, torch.tensor([i]))
        torch.testing.assert_close(op.apply(x), x - part, atol=2e-5, rtol=1e-5)
        error = x - reconstruction
        kept = op.apply(x) - sae.decode(without)
        torch.testing.assert_close(kept, error, atol=5e-5, rtol=1e-5)
