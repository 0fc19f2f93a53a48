"""Continuing a text with every family: Hugging Face's own words, whatever the batch."""

from __future__ import annotations

import pytest
import torch

from bezoar.errors import ModelError
from bezoar.models import Decoding, LanguageModel, check_parity, generate
from tests.models import zoo
from tests.models.helpers import TEXTS

SAMPLED = Decoding(4, sample=True, samples=2, seed=3)


def hugging_face(lm, prompt, steps):
    """What ``generate`` of Hugging Face adds, up to the end of text."""
    ids = torch.tensor(lm.encode([prompt]))
    mask = torch.ones_like(ids)
    out = lm.model.generate(
        ids, attention_mask=mask, max_new_tokens=steps, do_sample=False, pad_token_id=0
    )
    new = out[0, ids.shape[1] :].tolist()
    return tuple(new[: new.index(0)] if 0 in new else new)


@pytest.mark.parametrize("name", zoo.DECODERS)
def test_greedy_text_is_hugging_faces_and_no_batch_changes_it(name):
    lm = zoo.family_model(name)
    together = generate(lm, TEXTS, Decoding(6))
    assert list(together.tokens) == [hugging_face(lm, prompt, 6) for prompt in TEXTS]
    assert generate(lm, TEXTS, Decoding(6), batch_tokens=1) == together


@pytest.mark.parametrize("name", zoo.DECODERS)
def test_samples_do_not_depend_on_the_batch(name):
    lm = zoo.family_model(name)
    together = generate(lm, TEXTS, SAMPLED)
    assert generate(lm, TEXTS, SAMPLED, batch_tokens=1) == together
    assert len(set(together.tokens)) > len(TEXTS)


@pytest.mark.parametrize("name", zoo.ENCODERS)
def test_an_encoder_continues_no_text(name):
    lm = zoo.family_model(name)
    with pytest.raises(ModelError, match="no unembedding"):
        generate(lm, TEXTS, Decoding(2))
    with pytest.raises(ModelError, match="no unembedding"):
        lm.logits(lm.batch(lm.encode(TEXTS)))
    assert not lm.anatomy.causal


def test_a_masked_language_model_has_logits_and_still_continues_no_text():
    lm = LanguageModel(*zoo.hf_model("BERT", "AutoModelForMaskedLM"))
    assert check_parity(lm) < 1e-5
    assert lm.logits(lm.batch(lm.encode(TEXTS))).shape[-1] == lm.d_vocab
    with pytest.raises(ModelError, match="both directions"):
        generate(lm, TEXTS, Decoding(2))
