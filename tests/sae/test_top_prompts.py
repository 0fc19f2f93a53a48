"""Top texts, their tokens and what is coloured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations import harvest, tokenise
from bezoar.corpus import Corpus
from bezoar.errors import DataError
from bezoar.sae.pooled import pool_latents
from bezoar.sae.token_rows import StoredTokens
from bezoar.sae.top_prompts import display_scale, top_prompts, top_texts
from tests.sae.material import random_sae
from tests.sae.reading_kit import Letters, MemoryTokens, at_site, corpus_of, latents_of

ALL = np.arange(64)


@pytest.mark.parametrize("ranking", ["mean", "max"])
def test_texts_are_the_highest_by_the_named_statistic(ranking):
    sae, tokens = random_sae(), MemoryTokens()
    f = latents_of(sae, tokens)
    pooled, corpus = pool_latents(sae, tokens), corpus_of(8)
    found = top_prompts(sae, tokens, Letters(), corpus, pooled, ALL, ranking=ranking, k=3)
    for latent in ALL.tolist():
        rows = [f[tokens.offsets[i] : tokens.offsets[i + 1], latent] for i in range(8)]
        score = np.array([getattr(np, ranking)(row) for row in rows])
        best = [i for i in np.argsort(-score, kind="stable")[:3] if score[i] > 0]
        assert [p.text for p in found[latent]] == [corpus.texts[i] for i in best]
        for prompt, i in zip(found[latent], best, strict=True):
            assert prompt.score == pytest.approx(score[i], rel=1e-5)
            assert prompt.activations == pytest.approx(rows[i], rel=1e-3)
            start, stop = tokens.offsets[i], tokens.offsets[i + 1]
            assert list(prompt.tokens) == Letters().token_strings(tokens.ids[start:stop].tolist())
            assert prompt.source == corpus.source[i]
            assert prompt.category == corpus.category[i]
            assert prompt.label == corpus.labels[i]


def test_mean_and_max_may_disagree():
    sae, tokens = random_sae(), MemoryTokens()
    pooled = pool_latents(sae, tokens)
    mean, largest = (top_texts(table, ALL, 1) for table in (pooled.mean, pooled.max))
    assert any(mean[i] and mean[i][0][0] != largest[i][0][0] for i in ALL.tolist())


def test_texts_may_be_a_part_of_all_that_were_read():
    sae, tokens = random_sae(), MemoryTokens()
    some = np.array([6, 2, 4])
    pooled = pool_latents(sae, tokens, some)
    corpus = corpus_of(3)
    part = top_prompts(sae, tokens, Letters(), corpus, pooled, ALL, texts=some)
    own = tokens.permuted(some)
    alone = top_prompts(sae, own, Letters(), corpus, pool_latents(sae, own), ALL)
    assert part == alone


def test_a_long_text_is_shown_around_its_peak():
    sae, tokens = random_sae(), MemoryTokens()
    pooled = pool_latents(sae, tokens)
    found = top_prompts(sae, tokens, Letters(), corpus_of(8), pooled, ALL, window=4)
    for prompts in found.values():
        for prompt in prompts:
            assert len(prompt.tokens) == len(prompt.activations) == min(4, prompt.length)
            assert max(prompt.activations) > 0
            assert 0 <= prompt.first <= max(0, prompt.length - 4)


def test_real_tokens_stand_beside_their_own_activations_cut_where_the_harvest_cut(gpt2):
    texts = ("the good man is a fool and so it is " * 4, "night and day", "a stupid idiot!")
    table = tokenise(gpt2, texts, 10)
    store = harvest(gpt2, table, ["1.resid_post"], pooling="none")
    sae = at_site(random_sae(d=32))
    tokens = StoredTokens(store, "1.resid_post")
    pooled = pool_latents(sae, tokens)
    corpus = Corpus(texts, np.array([0, 0, 1]))
    found = top_prompts(sae, tokens, gpt2, corpus, pooled, ALL, ranking="max")
    dense = sae.encode(torch.from_numpy(store.rows("1.resid_post"))).numpy()
    for latent, prompts in found.items():
        for prompt in prompts:
            i = texts.index(prompt.text)
            start, stop = store.offsets[i], store.offsets[i + 1]
            assert "".join(prompt.tokens) == gpt2.decode(table.rows([i])[0])
            assert prompt.activations == pytest.approx(dense[start:stop, latent], rel=1e-3)
            assert prompt.length == (10 if i == 0 else stop - start)


def test_display_leaves_zeros_and_spreads_the_rest():
    assert display_scale(np.array([0, 1.0, 3.0, 2.0])).tolist() == pytest.approx([0, 0.1, 0.9, 0.5])
    assert display_scale(np.array([0, 7.0, 7.0])).tolist() == [0, 0.5, 0.5]
    assert display_scale(np.array([0.0, 0.0])).tolist() == [0, 0]
    assert display_scale(np.zeros(0)).tolist() == []
    assert display_scale(np.array([[0.0, 1e-9], [5.0, 0.0]])).tolist() == [[0, 0.1], [0.9, 0]]
    for wrong in ([-1.0, 2.0], [np.nan], [np.inf]):
        with pytest.raises(DataError, match="no colour"):
            display_scale(np.array(wrong))


def test_as_many_texts_as_pooled_latents_are_needed():
    sae, tokens = random_sae(), MemoryTokens()
    with pytest.raises(DataError, match="7 texts"):
        top_prompts(sae, tokens, Letters(), corpus_of(7), pool_latents(sae, tokens), ALL)
