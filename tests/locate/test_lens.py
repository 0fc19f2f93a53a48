"""The lens beyond its theorems: attribution of steps, the example, prompts, edits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from bezoar.edits import Add
from bezoar.errors import ConfigError, DataError, UnsupportedAnatomy
from bezoar.locate import (
    Lens,
    LensResult,
    component_attribution,
    likeliest_prompts,
    logit_lens,
    sub_update_attribution,
)
from bezoar.locate.last_tokens import encode_for
from bezoar.locate.norm import AffineNorm, Norm
from bezoar.models import LanguageModel
from bezoar.models.generate import prompt_ids
from bezoar.runs import load_result, save_result
from tests.edits.kit import one
from tests.families import WORDS, tiny_model, tiny_tokenizer
from tests.locate.kit import PROMPTS

IDS = (60, 300)


def test_steps_add_up_to_the_whole_rise(lm):
    result = logit_lens(lm, PROMPTS, IDS)
    rise = sum(step.change.value for step in result.increments)
    assert rise == pytest.approx(result.mean[-1] - result.mean[0], abs=1e-6)
    components = [step.component for step in result.increments]
    if lm.anatomy.parallel:
        assert components == [f"{i}.resid_delta" for i in range(lm.n_layers)]
    else:
        assert components[:3] == ["0.attn_out", "0.mlp_out", "1.attn_out"]
    tops = [step.change.value for step in result.top_components(3)]
    assert tops == sorted((step.change.value for step in result.increments), reverse=True)[:3]


def test_a_neuron_made_to_say_a_token_is_the_one_that_raises_it():
    lm = tiny_model("gpt2")
    with torch.no_grad():  # the last MLP's bias always writes the token
        lm.w_out_bias(2).add_(40 * lm.W_U[300] / lm.W_U[300].norm())
    result = logit_lens(lm, PROMPTS, [300])
    assert result.top_components(1)[0].component == "2.mlp_out"
    assert result.rank[-1] == 1
    assert result.rank[-2] > 1


def test_tokens_keep_their_order_and_stand_in_quotes(gpt2):
    result = logit_lens(gpt2, PROMPTS, (300, 60, 300))
    assert result.token_ids == (300, 60)
    assert result.tokens == tuple(gpt2.token_strings([300, 60]))
    first = dataclasses.replace(result, tokens=(" ",))
    assert "‘ ’" in str(first.__rich__().title)


def test_the_example_shows_the_models_own_top_tokens_in_its_last_row(lm):
    result = logit_lens(lm, PROMPTS, IDS, example=2)
    ids = lm.encode(PROMPTS[2:3])
    own = lm.logits(lm.batch(ids))[0].softmax(-1).max(-1)
    assert result.example is not None
    assert list(result.example.prompt) == lm.token_strings(ids[0])
    assert list(result.example.tokens[-1]) == lm.token_strings(own.indices.tolist())
    assert result.example.probability[-1] == pytest.approx(own.values.tolist(), rel=1e-3)
    assert len(result.example.tokens) == len(result.states)


def test_one_prompt_has_no_interval_and_results_are_saved(gpt2, tmp_path):
    result = logit_lens(gpt2, PROMPTS[:1], IDS, "frozen_scale")
    assert result.low == result.mean == result.high
    save_result(tmp_path / "lens.json", result)
    assert load_result(tmp_path / "lens.json", LensResult) == result


def test_batching_changes_nothing(lm):
    one, many = (logit_lens(lm, PROMPTS, IDS, budget_tokens=b) for b in (1, 10_000))
    assert one.mean == pytest.approx(many.mean, rel=1e-3)


def test_an_edit_is_seen_where_it_acts(gpt2):
    edit = one("1.mlp_out", Add(3 * torch.ones(gpt2.d_model)))
    before = logit_lens(gpt2, PROMPTS, IDS)
    with edit.applied_to(gpt2):
        after = logit_lens(gpt2, PROMPTS, IDS)
    at = before.states.index("2.resid_pre")
    assert after.mean[:at] == pytest.approx(before.mean[:at], rel=1e-6)
    assert after.probability[at] != before.probability[at]


def test_likeliest_prompts_come_first(lm):
    order = likeliest_prompts(lm, PROMPTS, IDS, top=3)
    own = [
        float(lm.logits(lm.batch([ids]))[0, -1].softmax(-1)[list(IDS)].sum())
        for ids in lm.encode(PROMPTS)
    ]
    assert order == sorted(range(len(own)), key=lambda i: -own[i])[:3]


@pytest.mark.usefixtures("_unhooked")
def test_wrong_requests(gpt2):
    with pytest.raises(ConfigError, match="frozen_scale"):
        logit_lens(gpt2, PROMPTS, IDS, "frozen")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="include_bias"):
        Lens(gpt2, "default", include_bias=False)
    for ids in ([], [gpt2.d_vocab], [-1]):
        with pytest.raises(ConfigError, match="vocabulary"):
            logit_lens(gpt2, PROMPTS, ids)
    with pytest.raises(DataError):
        logit_lens(gpt2, [], IDS)
    with pytest.raises(DataError, match="example 9"):
        logit_lens(gpt2, PROMPTS, IDS, example=9)


def long_prompts(lm, n=3):
    """Prompts that have half as many tokens again as the model's context."""
    rng = np.random.default_rng(0)
    texts = [" " + " ".join(rng.choice(WORDS, lm.context * 3 // 2)) for _ in range(n)]
    assert all(len(ids) > lm.context for ids in lm.encode(texts))
    return texts


def test_a_prompt_beyond_the_context_is_read_at_its_own_last_token(lm):
    prompts = long_prompts(lm)
    ends = [ids[-lm.context :] for ids in lm.encode(prompts)]
    own = torch.stack([lm.logits(lm.batch([ids]))[0, -1] for ids in ends]).detach()
    chance = own.softmax(-1)[:, list(IDS)].sum(-1)
    assert logit_lens(lm, prompts, IDS).mean[-1] == pytest.approx(float(chance.mean()), rel=1e-4)
    order = sorted(range(len(chance)), key=lambda i: -float(chance[i]))
    assert likeliest_prompts(lm, prompts, IDS) == order
    split = component_attribution(lm, prompts, IDS)
    assert split.logit.value == pytest.approx(float(own[:, list(IDS)].mean()), abs=1e-4)


def test_prompts_are_cut_as_generation_cuts_them(gpt2):
    """The first tokens by request, the last for the context's sake."""
    prompts = ["", "man", *long_prompts(gpt2, 1)]
    for limit in (None, 3, 150, 10_000):
        for new in (0, 7):
            whole, _ = prompt_ids(gpt2, prompts, new, limit, "first")
            assert encode_for(gpt2, prompts, limit, new) == whole
    empty, short, long = encode_for(gpt2, prompts, None)
    full = gpt2.encode(prompts)
    assert (empty, short, long) == ([gpt2.start_id], full[1], full[2][-gpt2.context :])
    assert encode_for(gpt2, prompts, 3)[2] == full[2][:3]
    assert encode_for(gpt2, prompts, 150)[2] == full[2][:150][-gpt2.context :]


def test_no_prompt_and_no_token_of_a_prompt_are_refused(gpt2):
    for read in (likeliest_prompts, component_attribution, sub_update_attribution):
        with pytest.raises(DataError, match="no prompt"):
            read(gpt2, [], IDS)
    for read in (logit_lens, likeliest_prompts, component_attribution, sub_update_attribution):
        with pytest.raises(ConfigError, match="cut to 0 tokens"):
            read(gpt2, PROMPTS, IDS, max_tokens=0)


@pytest.mark.parametrize("d", [32, 33])
@pytest.mark.parametrize("centred", [True, False])
def test_a_norm_is_taken_apart(d, centred):
    torch.manual_seed(d)
    norm = torch.nn.LayerNorm(d, eps=1e-3) if centred else torch.nn.RMSNorm(d, eps=1e-3)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(0.3 * torch.randn(d))
    parts = AffineNorm.of(norm, torch.zeros(d))
    assert parts.centred == centred
    assert torch.allclose(parts.gain, norm.weight, atol=1e-4)
    if centred:
        assert torch.allclose(parts.bias, norm.bias)
    x, y = torch.randn(5, d), torch.randn(5, d)
    assert torch.allclose(parts.frozen(x, parts.scale(x, norm(x))), norm(x), atol=1e-4)
    rest = parts.frozen(x, torch.ones(5, 1)) - parts.bias
    assert torch.allclose((parts.pull_back(y) * x).sum(-1), (y * rest).sum(-1), atol=1e-4)


def test_an_identity_is_a_norm_too_and_a_curve_is_not():
    parts = AffineNorm.of(torch.nn.Identity(), torch.zeros(8))
    x = torch.randn(3, 8)
    assert torch.allclose(parts.frozen(x, parts.scale(x, x)), x, atol=1e-5)
    with pytest.raises(UnsupportedAnatomy, match="default"):
        AffineNorm.of(torch.tanh, torch.zeros(8))


def test_a_norm_is_read_past_its_hooks_and_as_it_was():
    inner = torch.nn.LayerNorm(8)
    norm = torch.nn.Sequential(inner)
    calls = []
    for module in (norm, inner):
        module.register_forward_pre_hook(lambda *_: calls.append("before"))
        module.register_forward_hook(lambda *_: calls.append("after"))
    x = torch.randn(3, 8)
    expected = torch.nn.functional.layer_norm(x, (8,))
    taken = Norm.of(norm, x[0])
    with torch.no_grad():
        inner.weight.fill_(5.0)
    assert torch.allclose(taken.frozen(x, taken.scale(x)), expected, atol=1e-5)
    assert not calls
    norm(x)
    assert len(calls) == 4


def test_the_scale_of_the_frozen_lens_is_the_models_under_an_edit_of_what_it_writes(gpt2):
    """The edit sits behind the final norm: it changes the logits, and no scale."""
    states = torch.randn(4, gpt2.d_model)
    lens = Lens(gpt2, "frozen_scale")
    with one("unembed_in", Add(torch.ones(gpt2.d_model))).applied_to(gpt2):
        inside = lens.logits(states, states)
        default = Lens(gpt2).logits(states, states)
    assert torch.allclose(inside, default, atol=1e-4)


def test_a_large_vocabulary_is_read_in_blocks(gpt2, monkeypatch):
    whole = logit_lens(gpt2, PROMPTS, IDS)
    monkeypatch.setattr("bezoar.locate.lens._LOGITS", 1)
    assert logit_lens(gpt2, PROMPTS, IDS).mean == pytest.approx(whole.mean, rel=1e-5)


def test_softcapped_logits_end_at_the_models_own_distribution():
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    config = GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=len(tokenizer))
    lm = LanguageModel(GPT2LMHeadModel(config), tokenizer)
    plain = logit_lens(lm, PROMPTS, IDS).mean
    config.final_logit_softcapping = 0.05
    capped = logit_lens(lm, PROMPTS, IDS)
    assert capped.mean[-1] != pytest.approx(plain[-1], rel=1e-3)
    assert capped.mean[-1] == pytest.approx(2 / len(tokenizer), rel=0.11)  # nearly uniform
