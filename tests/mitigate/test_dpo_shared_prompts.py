"""Both sides of a pair after one prompt: what is read is what is read apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, MambaConfig, MistralConfig

from bezoar.mitigate.preference import answer_logps, collate, tokenise_pairs
from bezoar.mitigate.preference import training as training_module
from bezoar.mitigate.preference.forward import reads_pairs_in_one
from bezoar.mitigate.preference.training import train
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from tests.families import tiny_tokenizer
from tests.mitigate.preferences import pairs, recipe

UNEQUAL = Pairs(
    ("I think that you are", "The", ""),
    (" lovely", " house by the river was very good and kind", "a man"),
    (" a fool and an idiot and rotten", " fool", " stupid people of the night"),
)


def loss_and_gradients(lm, tokens):
    lm.model.requires_grad_(True)
    batch = collate(lm, tokens, range(len(tokens)))
    logps = answer_logps(lm, batch)
    found = torch.autograd.grad(
        (logps * torch.linspace(-1, 1, len(logps))).sum(),
        list(lm.model.parameters()),
        allow_unused=True,
    )
    lm.model.requires_grad_(False)
    return logps.detach(), batch, found


@pytest.mark.parametrize("made", [pairs(6), UNEQUAL])
def test_log_probabilities_and_gradients_are_those_of_sides_apart(lm, made):
    apart = tokenise_pairs(lm, made)
    assert reads_pairs_in_one(lm, apart)
    expected, alone, gradients = loss_and_gradients(lm, apart)
    found, together, ours = loss_and_gradients(lm, replace(apart, shared=True))
    assert len(together.batch) == len(made)
    assert len(alone.batch) == together.n_rows == 2 * len(made)
    assert torch.equal(together.targets, alone.targets)
    assert torch.equal(together.rows, alone.rows)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(ours, gradients, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_side_does_not_see_the_other(lm):
    tokens = replace(tokenise_pairs(lm, UNEQUAL), shared=True)
    side = tokens.sides[0]
    other = replace(side, chosen=tuple(reversed(side.chosen)) + side.chosen)
    changed = replace(tokens, sides=(other, *tokens.sides[1:]))
    before, after = (collate(lm, t, range(3)) for t in (tokens, changed))
    rejected = [answer_logps(lm, b)[b.rows == 3].detach() for b in (before, after)]
    torch.testing.assert_close(*rejected, rtol=1e-5, atol=1e-5)


def test_a_batch_that_would_exceed_the_context_is_read_apart(lm, monkeypatch):
    tokens = replace(tokenise_pairs(lm, UNEQUAL), shared=True)
    longest = max(len(s.prompt) + len(s.chosen) + len(s.rejected) for s in tokens.sides)
    monkeypatch.setattr(LanguageModel, "context", longest - 1)
    assert collate(lm, tokens, range(3)).seen is None
    short = [i for i in range(3) if i != 1]
    assert collate(lm, tokens, short).seen is not None


COMMON = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}


def other(config):
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config.vocab_size = len(tokenizer)
    return LanguageModel(AutoModelForCausalLM.from_config(config), tokenizer)


@pytest.mark.parametrize(
    "config",
    [
        BloomConfig(hidden_size=32, n_layer=2, n_head=4, **COMMON),
        MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **COMMON),
    ],
    ids=["distances for positions", "no attention"],
)
def test_what_cannot_read_them_so_is_found_out_and_trained_all_the_same(config):
    lm = other(config)
    assert not reads_pairs_in_one(lm, tokenise_pairs(lm, pairs(6)))
    log = train(lm, pairs(12), recipe(steps=2)).log
    assert log.validation[0].loss == pytest.approx(0.6931472, abs=1e-6)


def test_a_short_window_is_found_out():
    config = MistralConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        sliding_window=6,
        **COMMON,
    )
    lm = other(config)
    long = Pairs(
        ("I think that you are a man of the house",), UNEQUAL.chosen[:1], UNEQUAL.rejected[:1]
    )
    assert not reads_pairs_in_one(lm, tokenise_pairs(lm, long))


def test_training_is_the_same_to_rounding(lm, monkeypatch):
    ours = train(lm, pairs(12), recipe(steps=4)).log
    monkeypatch.setattr(training_module, "reads_pairs_in_one", lambda lm, tokens: False)
    apart = train(lm, pairs(12), recipe(steps=4)).log
    for one, two in zip(ours.steps, apart.steps, strict=True):
        assert one.loss == pytest.approx(two.loss, abs=1e-6)
        assert one.gradient == pytest.approx(two.gradient, rel=1e-4)
