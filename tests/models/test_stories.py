"""The same on a real trained Llama, where it is at hand (``BEZOAR_STORIES260K``)."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.errors import NotFoldable
from bezoar.locate import LinearProbe
from bezoar.mitigate import FitInputs, ProjectOut, Subtract
from bezoar.models import Decoding, LanguageModel, check_parity, generate
from bezoar.stats import auroc

PATH = os.environ.get("BEZOAR_STORIES260K")
pytestmark = pytest.mark.skipif(not PATH, reason="BEZOAR_STORIES260K is not set")
BEGINNING = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
)
PROMPTS = ("Once upon a time", "The cat", "Tom and his dog went to the big park and", "")


@pytest.fixture(scope="module")
def stories():
    return LanguageModel.from_pretrained(PATH)


def test_it_is_a_gated_model_with_a_tied_head(stories):
    assert (stories.n_layers, stories.d_model, stories.d_mlp, stories.d_head) == (5, 64, 172, 8)
    assert stories.gated
    assert stories.anatomy.tied
    assert check_parity(stories) < 1e-5


def test_it_tells_its_story(stories):
    (tokens,) = generate(stories, [""], Decoding(60)).tokens
    assert stories.decode(tokens).startswith(BEGINNING)


def test_sub_updates_add_up_on_trained_weights(stories):
    batch = stories.batch(stories.encode(PROMPTS[:3]))
    for layer in range(stories.n_layers):
        names = [f"{layer}.{p}" for p in ("mlp_gate", "mlp_up", "mlp_post", "mlp_raw")]
        gate, up, post, raw = stories.capture(batch, names).values()
        torch.testing.assert_close(stories.act_fn(gate) * up, post)
        torch.testing.assert_close(post @ stories.values(layer), raw, atol=1e-4, rtol=1e-4)


def test_greedy_text_is_hugging_faces_and_batching_changes_nothing(stories):
    together = generate(stories, PROMPTS, Decoding(30))
    assert generate(stories, PROMPTS, Decoding(30), batch_tokens=1) == together
    for prompt, tokens in zip(PROMPTS[:3], together.tokens, strict=False):
        ids = torch.tensor(stories.encode([prompt]))
        out = stories.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=30, do_sample=False
        )
        assert out[0, ids.shape[1] :].tolist()[: len(tokens)] == list(tokens)


NAMES = ("Lily", "Tom", "Sue", "Ben", "Mia", "Tim", "Anna", "Max", "Jane", "Sam")
MOODS = (("sad", "cried", "scared"), ("happy", "smiled", "glad"))
TEXTS = [f"{n} was {m}. The dog went home." for mood in MOODS for m in mood for n in NAMES]
LABELS = np.repeat([1, 0], len(TEXTS) // 2)


@pytest.fixture(scope="module")
def sadness(stories):
    """A probe of the stream after the last layer, fitted on half of the names, and its inputs."""
    rows = harvest(stories, TEXTS, [stories.site("-1.resid_post")], pooling="mean").rows(
        stories.site("-1.resid_post")
    )
    half = np.arange(len(TEXTS)) % 2 == 0
    site = str(stories.site("-1.resid_post"))
    probe = LinearProbe(site=site, pooling="mean").fit(rows[half], LABELS[half])
    held_out = auroc(probe.decision_function(rows[~half]), LABELS[~half])
    return held_out, FitInputs(probe=probe.direction(), rows=rows, labels=LABELS)


def test_a_probe_reads_what_trained_states_hold(sadness):
    held_out, _ = sadness
    assert held_out > 0.95


def test_an_edit_along_it_acts_is_undone_and_folds_where_it_can(stories, sadness):
    _, inputs = sadness
    batch = stories.batch(stories.encode(PROMPTS[:3]))
    plain = stories.logits(batch)
    edit = ProjectOut().fit(stories, inputs)
    with edit.applied_to(stories):
        hooked = stories.logits(batch)
    with edit.fold(stories).applied_to(stories):
        folded = stories.logits(batch)
    torch.testing.assert_close(folded, hooked, atol=1e-4, rtol=1e-4)
    assert (hooked - plain).abs().max() > 1e-2
    torch.testing.assert_close(stories.logits(batch), plain, atol=0, rtol=0)
    with pytest.raises(NotFoldable):  # a Llama's MLP has no bias to hold a shift
        Subtract().fit(stories, inputs).fold(stories)
