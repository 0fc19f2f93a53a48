"""Statistics of latents, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from bezoar.errors import DataError
from bezoar.locate import Direction
from bezoar.models import Site
from bezoar.sae.features import (
    Geometry,
    beside_probe,
    contributions,
    feature_table,
    interpretability,
    select,
    worth_a_card,
)
from bezoar.sae.labelled import class_means, correlations, group_means, latent_aurocs
from bezoar.sae.pooled import pool_latents
from bezoar.sae.reading import LatentMoments, read_codes
from bezoar.stats import auroc
from tests.sae.material import random_sae
from tests.sae.reading_kit import MemoryTokens, at_site, corpus_of, latents_of


def table_of(sae=None, **options):
    sae, tokens = at_site(sae or random_sae()), MemoryTokens(lengths=(4, 6, 3, 9, 5, 7, 2, 8))
    moments = LatentMoments(sae.d_sae)
    read_codes(sae, tokens, [moments])
    labels = corpus_of(8).labels
    pooled = pool_latents(sae, tokens).mean
    return feature_table(sae, moments, pooled, labels, **options), sae, tokens, labels


def test_columns_are_those_of_the_weights_and_the_dense_latents():
    table, sae, tokens, labels = table_of(name="one")
    e, d = sae.W_enc.detach().T.numpy(), sae.W_dec.detach().numpy()
    f = latents_of(sae, tokens)
    dot = (e * d).sum(1)
    lengths = np.linalg.norm(d, axis=1) * np.linalg.norm(e, axis=1)
    moved = f.var(0) * (d**2).sum(1)
    expected = {
        "density": (f > 0).mean(0),
        "bias": sae.b_enc.detach().numpy(),
        "dot": dot,
        "cosine": dot / lengths,
        "energy": (dot / lengths) ** 2,
        "projection": dot / (e**2).sum(1),
        "contribution": moved / moved.sum(),
    }
    for name, value in expected.items():
        assert getattr(table, name) == pytest.approx(value, rel=1e-4, abs=1e-6), name
    assert table.id == tuple(range(64))
    assert (table.tokens, table.texts, table.site) == (len(f), 8, "1.resid_post")
    means = np.stack([f[tokens.offsets[i] : tokens.offsets[i + 1]].mean(0) for i in range(8)])
    assert table.mean_toxic == pytest.approx(means[labels == 1].mean(0), abs=1e-6)
    assert table.mean_rest == pytest.approx(means[labels == 0].mean(0), abs=1e-6)
    assert table.auroc == pytest.approx(
        [auroc(column.astype(np.float32), labels) for column in means.T], abs=0.07
    )
    assert table.probe_cosine == table.probe_correlation == ()


def test_the_score_is_the_formula_stretched():
    rng = np.random.default_rng(0)
    cosine, density = rng.uniform(-1, 1, 50), 10 ** rng.uniform(-5, 0, 50)
    raw = 0.3 * (cosine + 1) / 2 + 0.7 * np.exp(-0.5 * ((np.log10(density) + 2) / 0.8) ** 2)
    found = interpretability(cosine, density, alpha=0.3, mu=-2.0, sigma=0.8)
    assert found == pytest.approx((raw - raw.min()) / (raw.max() - raw.min()))


def test_the_score_prefers_aligned_latents_of_middling_density():
    cosine, density = np.array([1.0, 1.0, -1.0, 1.0]), np.array([10**-2.5, 0.5, 10**-2.5, 0.0])
    found = interpretability(cosine, density)
    assert found.argmax() == 0
    assert found[3] < found[0]
    assert interpretability(np.ones(3), np.full(3, 0.1)).tolist() == [0.5] * 3
    for wrong in ({"alpha": 1.5}, {"sigma": 0.0}):
        with pytest.raises(DataError, match="make no score"):
            interpretability(cosine, density, **wrong)


def test_aurocs_are_those_of_single_columns_ties_and_silence_among_them():
    rng = np.random.default_rng(3)
    dense = rng.integers(0, 4, (80, 12)) * (rng.random((80, 12)) < 0.5).astype(float)
    dense[:, 5] = 0
    dense[:, 6] = 2.0
    y = rng.integers(0, 2, 80)
    found = latent_aurocs(csr_array(dense.astype(np.float32)), y)
    assert found == pytest.approx([auroc(column, y) for column in dense.T])
    assert found[5] == found[6] == 0.5
    stored = csr_array(dense.astype(np.float32))
    stored.data[stored.data == 3] = 0  # a place may be filled with a zero
    assert latent_aurocs(stored, y) == pytest.approx(
        [auroc(column, y) for column in stored.toarray().T]
    )
    with pytest.raises(DataError, match="texts of both kinds"):
        latent_aurocs(stored, np.zeros(80))


def test_means_by_group_and_correlations_are_numpys():
    rng = np.random.default_rng(4)
    dense = rng.random((30, 5)) * (rng.random((30, 5)) < 0.6)
    dense[:, 2] = 0
    table, scores = csr_array(dense), rng.normal(size=30)
    names = tuple("xy"[i % 5 == 0] for i in range(30))
    found = group_means(table, names)
    assert list(found) == ["x", "y"]
    for name, value in found.items():
        mask = np.array(names) == name
        assert value == pytest.approx(dense[mask].mean(0))
    assert group_means(table, None) == {}
    toxic, rest = class_means(table, np.array(names) == "y")
    assert toxic == pytest.approx(found["y"])
    assert rest == pytest.approx(found["x"])
    r = correlations(table, scores)
    assert r[[0, 1, 3, 4]] == pytest.approx(
        [np.corrcoef(dense[:, i], scores)[0, 1] for i in (0, 1, 3, 4)]
    )
    assert r[2] == 0


def test_a_probe_that_is_a_decoder_row_has_cosine_one_with_it():
    sae = random_sae()
    probe = Direction.of(3 * sae.W_dec[17].detach(), Site(1, "resid_post"))
    table, _, tokens, _ = table_of(sae)
    pooled = pool_latents(sae, tokens).mean
    table = beside_probe(table, sae, pooled, probe, np.arange(8.0))
    assert int(np.argmax(table.probe_cosine)) == 17
    assert table.probe_cosine[17] == pytest.approx(1)
    assert len(table.probe_correlation) == 64
    wide = Direction.of(torch.ones(9), Site(1, "resid_post"))
    with pytest.raises(DataError, match="9 dimensions"):
        beside_probe(table, sae, pooled, wide, np.arange(8.0))


def test_a_part_of_the_table_keeps_the_latents_own_numbers():
    table = table_of()[0]
    part = select(table, np.array([40, 3]))
    assert part.id == (40, 3)
    assert part.cosine == (table.cosine[40], table.cosine[3])
    assert part.auroc == (table.auroc[40], table.auroc[3])
    assert (part.probe_cosine, part.tokens) == ((), table.tokens)
    again = select(part, np.array([3]))
    assert again.dot == (table.dot[3],)
    with pytest.raises(DataError, match="no latent 40"):
        select(again, np.array([40]))


def test_cards_go_to_the_largest_and_to_the_most_telling_in_turns():
    table = table_of()[0]
    chosen = worth_a_card(table, 6).tolist()
    alive = [i for i in table.id if table.density[i] > 0]
    assert chosen[0] == max(alive, key=lambda i: table.contribution[i])
    telling = max(alive, key=lambda i: abs(table.auroc[i] - 0.5))
    assert telling in chosen[:2]
    assert table.auroc[telling] < 0.5  # it tells by being silent
    assert len(set(chosen)) == 6
    assert set(worth_a_card(table, 1000).tolist()) == set(alive)


def test_an_autoencoder_of_which_nothing_varies_is_refused():
    with pytest.raises(DataError, match="No latent varies"):
        contributions(np.zeros(4), np.ones(4))
    geometry = Geometry.of(random_sae())
    assert contributions(np.arange(64.0), geometry.decoder_norm).sum() == pytest.approx(1)
