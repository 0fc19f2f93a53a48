"""Top tokens, against the formulas written as loops over texts and tokens."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest

from bezoar.errors import ConfigError
from bezoar.sae.top_tokens import SCORINGS, Strings, check_latents, check_scoring, top_tokens
from tests.sae.material import random_sae
from tests.sae.reading_kit import Letters, MemoryTokens, latents_of

LATENTS = (3, 17, 40, 41, 42)


def by_hand(sae, tokens, latent, scoring, k1=1.2, b=0.75):
    """All strings with their scores, as the formulas say."""
    f = latents_of(sae, tokens)[:, latent]
    strings = Letters().token_strings(tokens.ids.tolist())
    texts = [
        list(zip(strings[start:stop], f[start:stop], strict=True))
        for start, stop in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    ]
    n, mean_length = len(texts), sum(map(len, texts)) / len(texts)
    found = {}
    for word in set(strings):
        everywhere = [v for text in texts for w, v in text if w == word]
        tf, df = len(everywhere), sum(any(w == word for w, _ in text) for text in texts)
        mean = sum(everywhere) / tf
        if scoring == "mean":
            found[word] = mean
        elif scoring == "tf-idf":
            found[word] = mean * tf * (log((n + 1) / (df + 1)) + 1)
        else:
            total = 0.0
            for text in texts:
                here = [v for w, v in text if w == word]
                if here:
                    own, times = sum(here) / len(here), len(here)
                    norm = 1 - b + b * len(text) / mean_length
                    total += own * times * (k1 + 1) / (times + k1 * norm)
            found[word] = log((n - df + 0.5) / (df + 0.5) + 1) * total
    largest = max(found.values())
    return {word: score / largest for word, score in found.items() if score > 0}


@pytest.mark.parametrize("scoring", SCORINGS)
def test_scores_are_those_of_the_formulas(scoring):
    sae, tokens = random_sae(), MemoryTokens()
    found = top_tokens(sae, tokens, Letters(), LATENTS, scoring=scoring, k=100)
    for latent in LATENTS:
        expected = by_hand(sae, tokens, latent, scoring)
        assert dict(found[latent]) == pytest.approx(expected, rel=1e-5)
        scores = [score for _, score in found[latent]]
        assert scores == sorted(scores, reverse=True)


def test_saturation_and_length_follow_their_constants():
    sae, tokens = random_sae(), MemoryTokens()
    found = top_tokens(sae, tokens, Letters(), [17], scoring="bm25", k=99, k1=0.4, b=0.1)
    assert dict(found[17]) == pytest.approx(
        by_hand(sae, tokens, 17, "bm25", k1=0.4, b=0.1), rel=1e-5
    )


def test_some_texts_alone_are_a_corpus_of_their_own():
    sae, tokens = random_sae(), MemoryTokens()
    some = tokens.permuted([6, 2, 4])
    for scoring in SCORINGS:
        part = top_tokens(sae, tokens, Letters(), [17], scoring=scoring, texts=[6, 2, 4], k=9)
        alone = top_tokens(sae, some, Letters(), [17], scoring=scoring, k=9)
        assert dict(part[17]) == pytest.approx(dict(alone[17]))


@pytest.mark.parametrize("scoring", SCORINGS)
def test_rare_strings_stand_back_where_there_are_others(scoring):
    sae, tokens = random_sae(), MemoryTokens()
    times = Counter(Letters().token_strings(tokens.ids.tolist()))
    everything = top_tokens(sae, tokens, Letters(), LATENTS, scoring=scoring, k=99)
    common = top_tokens(sae, tokens, Letters(), LATENTS, scoring=scoring, k=99, least=3)
    none = top_tokens(sae, tokens, Letters(), LATENTS, scoring=scoring, k=99, least=1000)
    assert none == everything
    for latent, scored in everything.items():
        kept = {t: score for t, score in scored if times[t] >= 3}
        largest = max(kept.values(), default=1)
        expected = {t: score / largest for t, score in kept.items()} or dict(scored)
        assert dict(common[latent]) == pytest.approx(expected)
    assert common != everything


def test_ids_that_read_the_same_are_one_token():
    strings = Strings(Letters(), np.array([0, 24, 5]))
    assert strings.texts == [" a", " f"]
    assert strings.of(np.array([24, 0, 5])).tolist() == [0, 0, 1]


def test_a_latent_that_never_fires_has_no_token():
    sae, tokens = random_sae(), MemoryTokens()
    dead = int(np.flatnonzero(latents_of(sae, tokens).max(0) == 0)[0])
    assert top_tokens(sae, tokens, Letters(), [dead])[dead] == ()


def test_unknown_scores_and_latents_are_refused():
    with pytest.raises(ConfigError, match="bm25"):
        check_scoring("bm26")
    for wrong, told in (([64], "Latent 64 of 64"), ([], "each once"), ([1, 1], "each once")):
        with pytest.raises(ConfigError, match=told):
            check_latents(wrong, 64)
