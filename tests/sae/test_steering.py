"""Chosen latents as an operation, of every architecture."""

from __future__ import annotations

import pytest
import torch

from bezoar.errors import SAEError
from bezoar.sae.steering import steer_latents
from tests.sae.material import SPECS
from tests.sae.steered import SITE, sae_at, store_of

IDS = torch.tensor([40, 3, 77, 12])


@pytest.fixture
def x(gpt2):
    return torch.from_numpy(store_of(gpt2).rows(SITE))


@pytest.mark.parametrize("spec", SPECS)
def test_its_latents_are_those_of_the_autoencoder(gpt2, x, spec):
    sae = sae_at(gpt2, spec)
    op = steer_latents(sae, torch.arange(sae.d_sae))
    latents = sae.encode(x)
    assert 0 < float((latents > 0).float().mean()) < 1
    torch.testing.assert_close(op.latents(x), latents, atol=1e-4, rtol=1e-4)
    few = steer_latents(sae, IDS)
    torch.testing.assert_close(few.latents(x), latents[:, IDS], atol=1e-4, rtol=1e-4)
    assert few.ids == (40, 3, 77, 12)


@pytest.mark.parametrize("spec", SPECS)
def test_only_where_latents_compete_the_whole_encoder_is_kept(gpt2, spec):
    op = steer_latents(sae_at(gpt2, spec), IDS)
    assert len(op.encoder) == (96 if spec.startswith("topk") else 4)
    assert op.decoder.shape == (4, gpt2.d_model)


def test_factors_and_values_are_of_all_or_of_each(gpt2, x):
    sae = sae_at(gpt2)
    f, d = sae.encode(x)[:, IDS], sae.W_dec[IDS]
    torch.testing.assert_close(steer_latents(sae, IDS).apply(x), x - f @ d)
    torch.testing.assert_close(steer_latents(sae, IDS, factor=3.0).apply(x), x + 2 * f @ d)
    value = torch.tensor([1.0, 0.0, -2.0, 0.5])
    clamped = steer_latents(sae, IDS, value=value).apply(x)
    torch.testing.assert_close(clamped, x + (value - f) @ d)


@pytest.mark.parametrize("ids", [[], [3, 3], [96], [-1]])
def test_latents_that_are_not_there_are_refused(gpt2, ids):
    with pytest.raises(SAEError, match="cannot be steered"):
        steer_latents(sae_at(gpt2), torch.tensor(ids, dtype=torch.int64))


def test_a_form_of_its_own_is_refused(gpt2, monkeypatch):
    sae = sae_at(gpt2)
    _, more, tensors = sae.exported()
    monkeypatch.setattr(type(sae), "exported", lambda self: ("temporal", more, tensors))
    with pytest.raises(SAEError, match=r"'topk' \(temporal\)"):
        steer_latents(sae, IDS)


def test_the_operation_does_not_follow_the_autoencoder(gpt2, x):
    sae = sae_at(gpt2)
    op = steer_latents(sae, IDS)
    before = op.apply(x)
    with torch.no_grad():
        sae.W_dec.zero_(), sae.W_enc.zero_(), sae.b_enc.zero_()
    assert torch.equal(op.apply(x), before)
