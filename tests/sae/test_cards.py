"""Cards of latents: complete, saved a line each, and of a real model's tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.corpus import Corpus
from bezoar.errors import CorruptArtefact
from bezoar.locate import promoted_tokens
from bezoar.sae.cards import feature_cards, load_cards, neighbours, save_cards
from bezoar.sae.pooled import pool_latents
from bezoar.sae.reading import LatentMoments, RowMeans, read_codes
from bezoar.sae.token_rows import StoredTokens
from bezoar.sae.top_tokens import SCORINGS, top_tokens
from tests.sae.material import random_sae
from tests.sae.reading_kit import MemoryTokens, at_site

TEXTS = ("the good man is a fool", "night and day", "a stupid idiot!", "you know the river")
LATENTS = np.array([5, 60, 21])


@pytest.fixture(scope="module")
def made(gpt2):
    return cards_at(gpt2, "1.resid_post")


def cards_at(lm, site):
    corpus = Corpus(TEXTS, np.array([0, 0, 1, 0]), source=("a", "a", "b", "b"))
    tokens = StoredTokens(harvest(lm, TEXTS, [site], pooling="none"), site)
    sae = at_site(random_sae(d=tokens.d), site)
    pooled, means = pool_latents(sae, tokens), RowMeans(4, tokens.d)
    cards = feature_cards(sae, tokens, lm, corpus, pooled, LATENTS, n_promoted=4, also=[means])
    return sae, tokens, pooled, tuple(cards), means


def test_a_card_holds_what_each_part_gives_alone(gpt2, made):
    sae, tokens, pooled, cards, means = made
    assert [card.id for card in cards] == LATENTS.tolist()
    for scoring in SCORINGS:
        alone = top_tokens(sae, tokens, gpt2, LATENTS.tolist(), scoring=scoring, least=3)
        assert all(card.tokens[scoring] == alone[card.id] for card in cards)
    for card in cards:
        own = promoted_tokens(gpt2, sae.W_dec[card.id].detach(), 4)
        assert card.promoted == tuple(t.token for t in own.promoted)
        assert card.suppressed == tuple(t.token for t in own.suppressed)
        dense = pooled.mean.toarray()[:, card.id]
        assert card.per_source == pytest.approx(
            {"a": dense[:2].mean(), "b": dense[2:].mean()}, rel=1e-4
        )
        assert card.per_category == {}
        assert {p.text for p in card.prompts} == {
            t for t, value in zip(TEXTS, dense, strict=True) if value > 0
        }
    rows = np.split(tokens._store.rows("1.resid_post"), np.cumsum(tokens.lengths)[:-1])
    assert means.means == pytest.approx(np.stack([part.mean(0) for part in rows]), abs=1e-5)


def test_neighbours_are_the_nearest_decoder_rows_without_the_latent_itself():
    sae = random_sae()
    with torch.no_grad():
        sae.W_dec[9] = 3 * sae.W_dec[21] + 0.01 * sae.W_dec[2]
    found = neighbours(sae, LATENTS, 3)
    assert found[21][0] == (9, pytest.approx(1, abs=1e-3))
    for latent, near in found.items():
        assert latent not in [i for i, _ in near]
        assert [c for _, c in near] == sorted((c for _, c in near), reverse=True)


def test_latents_that_do_not_write_to_the_residual_promote_nothing(gpt2):
    cards = cards_at(gpt2, "1.mlp_post")[3]
    assert all(card.promoted == card.suppressed == () for card in cards)


def test_cards_are_lines_and_come_back_equal(made, tmp_path):
    cards = made[3]
    path = tmp_path / "cards.jsonl"
    save_cards(path, cards)
    assert path.read_bytes().count(b"\n") == 3
    assert load_cards(path) == cards
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorruptArtefact, match="cards of latents"):
        load_cards(path)


def test_moments_that_are_saved_come_back_and_others_are_refused(tmp_path):
    sae, tokens = random_sae(), MemoryTokens()
    moments = LatentMoments(sae.d_sae)
    read_codes(sae, tokens, [moments])
    moments.save(tmp_path / "moments.safetensors")
    back = LatentMoments.load(tmp_path / "moments.safetensors")
    assert back.tokens == moments.tokens
    for name in ("fired", "sum", "square"):
        assert torch.equal(getattr(back, name), getattr(moments, name))
    pool_latents(sae, tokens).save(tmp_path / "other.safetensors")
    with pytest.raises(CorruptArtefact, match="no moments"):
        LatentMoments.load(tmp_path / "other.safetensors")
