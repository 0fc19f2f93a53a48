"""The same on a real trained Llama, where it is at hand (``BEZOAR_STORIES260K``)."""

from __future__ import annotations

import os

import pytest
import torch

from bezoar.models import Decoding, LanguageModel, check_parity, generate

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
