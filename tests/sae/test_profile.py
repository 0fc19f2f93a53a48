"""What single latents have to do with the labels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bezoar.errors import CorruptArtefact, DataError, SAEError
from bezoar.locate import LinearProbe
from bezoar.sae.profile import LatentProfile, profile_latents
from bezoar.stats import auroc
from tests.mitigate.remedies import texts_and_labels
from tests.sae.steered import SITE, latent_inputs, sae_at, store_of

LABELS = texts_and_labels(60)[1]


def test_it_says_what_a_table_of_all_latents_says(gpt2):
    sae, store = sae_at(gpt2), store_of(gpt2)
    found = profile_latents(sae, store, LABELS, trained_on="abc")
    latents = sae.encode(torch.from_numpy(store.rows(SITE))).numpy()
    starts = store.offsets[:-1]
    means = np.add.reduceat(latents, starts) / np.diff(store.offsets)[:, None]
    np.testing.assert_allclose(found.density, (latents > 0).mean(0), atol=1e-6)
    np.testing.assert_allclose(found.largest, latents.max(0), rtol=1e-5)
    for label in (0, 1):
        np.testing.assert_allclose(found.mean[label], means[label == LABELS].mean(0), atol=1e-5)
    expected = [auroc(column, LABELS) for column in means.T]
    np.testing.assert_allclose(found.auroc, expected, atol=5e-3)
    assert (found.texts, found.tokens, found.trained_on) == (60, len(store), "abc")
    rows = np.add.reduceat(store.rows(SITE), starts) / np.diff(store.offsets)[:, None]
    direction = LinearProbe().fit(rows, LABELS).direction(SITE)
    assert float(found.probe.vector @ direction.vector) == pytest.approx(1, abs=1e-3)
    assert str(found.probe.site) == SITE


def test_of_some_texts_alone(gpt2):
    sae, store = sae_at(gpt2), store_of(gpt2)
    some = np.arange(10, 50)[::-1]
    found = profile_latents(sae, store, LABELS[some], some)
    alone = sae.encode(torch.from_numpy(store.rows(SITE, slice(*store.offsets[[10, 50]]))))
    assert (found.texts, found.tokens) == (40, len(alone))
    np.testing.assert_allclose(found.largest, alone.numpy().max(0), rtol=1e-5)


def test_it_is_saved_and_read_back(gpt2, tmp_path):
    found = latent_inputs(gpt2).latents
    found.save(tmp_path)
    again = LatentProfile.load(tmp_path)
    for name in ("density", "mean", "auroc", "largest"):
        assert torch.equal(getattr(again, name), getattr(found, name))
    assert torch.equal(again.probe.vector, found.probe.vector)
    assert (again.tokens, again.texts, again.model) == (found.tokens, found.texts, gpt2.fingerprint)
    (tmp_path / "latents.safetensors").write_bytes(b"nothing")
    with pytest.raises(CorruptArtefact, match="latents"):
        LatentProfile.load(tmp_path)


def test_of_other_latents_it_is_refused(gpt2):
    inputs = latent_inputs(gpt2)
    inputs.latents.require(inputs.sae)
    with pytest.raises(SAEError, match=r"of 96 latents .* and the autoencoder has 64"):
        inputs.latents.require(sae_at(gpt2, d_sae=64))
    with pytest.raises(SAEError, match=r"has 96 at 0\.resid_post"):
        inputs.latents.require(sae_at(gpt2, site="0.resid_post"))
    other = dataclasses.replace(inputs.latents, model="other")
    with pytest.raises(SAEError, match="of another model"):
        other.require(inputs.sae)


@pytest.mark.parametrize("labels", [LABELS[:9], LABELS * 0, LABELS + 1])
def test_labels_that_do_not_fit_are_refused(gpt2, labels):
    with pytest.raises(DataError):
        profile_latents(sae_at(gpt2), store_of(gpt2), labels)
