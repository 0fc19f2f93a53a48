"""Theorems on the statistics of latents (60) and on their top tokens (64)."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.sae.features import feature_table
from bezoar.sae.pooled import pool_latents
from bezoar.sae.reading import LatentMoments, read_codes
from bezoar.sae.top_tokens import SCORINGS, top_tokens
from tests.sae.material import random_sae
from tests.sae.reading_kit import Letters, MemoryTokens


@pytest.mark.parametrize("spec", ["topk:k=4", "topk:k=1", "topk:k=64"])
@pytest.mark.parametrize("seed", [0, 1])
def test_60_shares_sum_to_one_and_scores_span_the_unit_interval(spec, seed):
    sae, tokens = random_sae(spec, seed=seed), MemoryTokens(seed=seed)
    moments = LatentMoments(sae.d_sae)
    read_codes(sae, tokens, [moments])
    labels = np.arange(len(tokens.lengths)) % 2
    table = feature_table(sae, moments, pool_latents(sae, tokens).mean, labels)
    contribution, density = np.array(table.contribution), np.array(table.density)
    assert contribution.sum() == pytest.approx(1)
    assert (contribution >= 0).all()
    assert ((density >= 0) & (density <= 1)).all()
    assert table.energy == pytest.approx(np.square(table.cosine))
    assert (min(table.interpretability), max(table.interpretability)) == (0, 1)


@pytest.mark.parametrize("scoring", SCORINGS)
def test_64_the_best_token_has_one_and_the_order_of_prompts_is_nothing(scoring):
    sae, tokens = random_sae(), MemoryTokens()
    fires = pool_latents(sae, tokens).mean.sum(axis=0) > 0
    latents = np.flatnonzero(fires).tolist()
    found = top_tokens(sae, tokens, Letters(), latents, scoring=scoring, k=40)
    # The first text, whose length the project's formula takes for that of all, becomes another.
    for order in ([6, 3, 0, 7, 1, 5, 2, 4], [1, 0, 2, 3, 4, 5, 6, 7]):
        other = top_tokens(sae, tokens.permuted(order), Letters(), latents, scoring=scoring, k=40)
        for latent in latents:
            assert found[latent][0][1] == max(score for _, score in found[latent]) == 1
            assert [t for t, _ in other[latent]] == [t for t, _ in found[latent]]
            # Codes are float32, and a product may round by where a row stands in its batch.
            assert dict(other[latent]) == pytest.approx(dict(found[latent]), rel=1e-6)
