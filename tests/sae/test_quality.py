"""Quality of autoencoders, against numpy on all rows at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.activations.rows import InMemoryRows
from bezoar.errors import DataError, SAEError
from bezoar.sae.quality import QualityMeter, density_histogram, measure_quality
from bezoar.sae.reading import LatentMoments, read_codes
from tests.sae.material import SPECS, random_sae
from tests.sae.reading_kit import MemoryTokens, at_site, latents_of


@pytest.mark.parametrize("spec", SPECS)
def test_every_number_is_that_of_all_rows_at_once(spec):
    sae, tokens = random_sae(spec), MemoryTokens()
    x = tokens.rows.double().numpy()
    f = latents_of(sae, tokens)
    made = sae.decode(torch.from_numpy(f).float()).double().numpy()
    found = measure_quality(sae, tokens)
    norms, made_norms = np.linalg.norm(x, axis=1), np.linalg.norm(made, axis=1)
    error = ((x - made) ** 2).sum()
    expected = {
        "l0": (f > 0).sum(1).mean(),
        "explained_variance": 1 - error / ((x - x.mean(0)) ** 2).sum(),
        "cosine": ((x * made).sum(1) / (norms * made_norms)).mean(),
        "mse": ((x - made) ** 2).mean(),
        "dead_share": (f.max(0) == 0).mean(),
        "shrinkage": np.polynomial.polynomial.polyfit(norms, made_norms, [1])[1],
        "bias": (made**2).sum() / (x * made).sum(),
        "tokens": len(x),
    }
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-4), name
    assert sum(found.density.counts) + found.density.dead == sae.d_sae
    assert found.density.dead == (f.max(0) == 0).sum()


def test_shuffled_rows_and_rows_of_texts_give_the_same_numbers():
    sae, tokens = random_sae(), MemoryTokens()
    by_text = measure_quality(sae, tokens)
    shuffled = measure_quality(sae, InMemoryRows(tokens.rows, "1.resid_post"))
    assert shuffled.explained_variance == pytest.approx(by_text.explained_variance, rel=1e-6)
    assert (shuffled.tokens, shuffled.l0) == (by_text.tokens, by_text.l0)


def test_a_store_is_read_at_the_autoencoders_site(gpt2):
    store = harvest(gpt2, ["the good man", "a fool"], ["1.resid_post"], pooling="none")
    sae = at_site(random_sae(d=32))
    direct = measure_quality(sae, InMemoryRows(store.rows("1.resid_post"), "1.resid_post"))
    assert measure_quality(sae, store).mse == pytest.approx(direct.mse, rel=1e-6)


def test_halved_reconstructions_show_as_shrinkage():
    sae, tokens = random_sae(), MemoryTokens()
    sae.decode_codes = lambda codes: 0.5 * tokens.rows
    meter = QualityMeter(sae)
    meter.update(tokens.rows, sae.codes(tokens.rows))
    found = meter.result()
    assert found.shrinkage == pytest.approx(0.5)
    assert found.bias == pytest.approx(0.5)
    assert found.cosine == pytest.approx(1)


def test_moments_are_those_of_dense_latents():
    sae, tokens = random_sae("topk:k=9"), MemoryTokens()
    moments = LatentMoments(sae.d_sae)
    read_codes(sae, tokens, [moments])
    f = latents_of(sae, tokens)
    assert moments.density == pytest.approx((f > 0).mean(0))
    assert moments.mean == pytest.approx(f.mean(0))
    assert moments.variance == pytest.approx(f.var(0))


def test_the_histogram_counts_every_latent_once():
    density = np.array([0, 1e-9, 1e-3, 0.01, 0.5, 1.0])
    found = density_histogram(density)
    assert found.dead == 1
    assert sum(found.counts) == 5
    assert found.counts[0] == 1  # rarer than the lowest edge
    assert found.counts[-1] == 1 + 0
    assert len(found.edges) == len(found.counts) + 1


def test_what_cannot_be_measured_is_refused():
    sae, tokens = random_sae(), MemoryTokens()
    same = InMemoryRows(torch.ones(20, 16), "1.resid_post")
    with pytest.raises(DataError, match="no variance to explain"):
        measure_quality(sae, same)
    with pytest.raises(DataError, match="knows no texts"):
        measure_quality(sae, same, texts=[0])
    with pytest.raises(SAEError, match="16 dimensions"):
        measure_quality(random_sae(d=8), tokens)
    with torch.no_grad():
        sae.W_dec.fill_(torch.nan)
    with pytest.raises(DataError, match="not finite"):
        measure_quality(sae, tokens)
