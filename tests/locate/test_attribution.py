"""A logit is the sum of what was written to the stream."""

from __future__ import annotations

import pytest
import torch

from bezoar.locate import component_attribution, sub_update_attribution
from bezoar.locate.attribution import EVERY_TOKEN
from tests.families import tiny_model
from tests.locate.kit import PROMPTS


def own_logits(lm):
    rows = [lm.logits(lm.batch([ids]))[0, -1] for ids in lm.encode(PROMPTS)]
    return torch.stack(rows)


@pytest.mark.parametrize(("tokens", "against"), [((300,), ()), ((60, 300), (5, 6, 7))])
def test_components_sum_to_the_logit(lm, tokens, against):
    found = component_attribution(lm, PROMPTS, tokens, against=against)
    logits = own_logits(lm)
    expected = logits[:, list(tokens)].mean()
    if against:
        expected = expected - logits[:, list(against)].mean()
    assert sum(p.logit.value for p in found.parts) == pytest.approx(float(expected), abs=1e-4)
    assert found.logit.value == pytest.approx(float(expected), abs=1e-4)
    names = [p.component for p in found.parts]
    assert len(names) == 2 * lm.n_layers + 2
    assert names[0] == "embed"
    assert names[-1] == "bias"


def test_against_every_token_a_shift_of_all_logits_does_not_count(gpt2):
    every = range(gpt2.d_vocab)
    found = component_attribution(gpt2, PROMPTS, [300], against=every)
    logits = own_logits(gpt2)
    assert found.logit.value == pytest.approx(
        float((logits[:, 300] - logits.mean(-1)).mean()), abs=1e-4
    )
    assert found.against == (EVERY_TOKEN,)
    best = [part.logit.value for part in found.top_parts(3)]
    assert best == sorted((p.logit.value for p in found.parts[1:-1]), reverse=True)[:3]


def test_neurons_and_the_bias_sum_to_their_mlp(lm):
    parts = component_attribution(lm, PROMPTS[:1], [300]).parts
    neurons = sub_update_attribution(lm, PROMPTS[:1], [300], top=10_000)
    with torch.no_grad():  # what the MLPs' biases add, by the same linear map
        site = lm.site("-1.resid_post")
        x = lm.capture(lm.batch(lm.encode(PROMPTS[:1])), [site])[site][0, -1]
        from bezoar.locate.norm import AffineNorm

        norm = AffineNorm.of(lm.final_norm, x)
        reader = norm.pull_back(lm.W_U[300]) / norm.scale(x, lm.final_norm(x))
    for layer in range(lm.n_layers):
        bias = lm.w_out_bias(layer)
        added = 0.0 if bias is None else float(bias @ reader)
        mlp = next(p.logit.value for p in parts if p.component == f"{layer}.mlp_out")
        assert neurons.by_layer[layer] + added == pytest.approx(mlp, abs=1e-4)
        of_layer = [s.logit.value for s in neurons.raising if s.layer == layer]
        assert sum(of_layer) == pytest.approx(neurons.by_layer[layer], abs=1e-4)


def test_a_sub_update_is_the_coefficient_times_the_projected_value(lm):
    """Item 5: W(a v) = a (W v), through the frozen norm."""
    first = sub_update_attribution(lm, PROMPTS[:1], [300], top=1).raising[0]
    post, last = lm.site(f"{first.layer}.mlp_post"), lm.site("-1.resid_post")
    got = lm.capture(lm.batch(lm.encode(PROMPTS[:1])), [post, last])
    a = got[post][0, -1, first.index]
    x = got[last][0, -1]
    assert first.coefficient == pytest.approx(float(a), abs=1e-5)
    with torch.no_grad():
        update = a * lm.values(first.layer)[first.index]
        # The norm's scale frozen at x: the difference of two norms at one scale is linear.
        xs = torch.stack([x, update])
        centred = lm.anatomy.parallel or hasattr(lm.anatomy.final_norm, "bias")
        c = xs - xs.mean(-1, keepdim=True) if centred else xs
        bias = getattr(lm.anatomy.final_norm, "bias", torch.zeros(()))
        scale = (lm.anatomy.final_norm.weight * c[0] / (lm.final_norm(x) - bias)).median()
        expected = (lm.anatomy.final_norm.weight * c[1] / scale) @ lm.W_U[300]
    assert first.logit.value == pytest.approx(float(expected), rel=1e-3, abs=1e-6)


def test_raising_and_lowering_are_the_ends_of_one_order(gpt2):
    every = 3 * gpt2.d_mlp
    found = sub_update_attribution(gpt2, PROMPTS, [300], top=every)
    values = [s.logit.value for s in found.raising]
    assert values == sorted(values, reverse=True)
    assert [(s.layer, s.index) for s in found.lowering] == [
        (s.layer, s.index) for s in found.raising
    ][::-1]
    flipped = sub_update_attribution(gpt2, PROMPTS, [5], against=[300], top=3)
    reverse = sub_update_attribution(gpt2, PROMPTS, [300], against=[5], top=3)
    assert [s.logit.value for s in flipped.raising] == pytest.approx(
        [-s.logit.value for s in reverse.lowering], abs=1e-6
    )


def test_a_planted_neuron_is_found():
    lm = tiny_model("gpt2")
    with torch.no_grad():
        lm.anatomy[1].w_in.bias[9] = 5.0  # always on
        lm.values(1)[9] = 8 * lm.W_U[300] / lm.W_U[300].norm()
    first = sub_update_attribution(lm, PROMPTS, [300]).raising[0]
    assert (first.layer, first.index) == (1, 9)
    assert first.logit.low > 0


def test_a_norm_after_the_mlp_is_frozen_as_well():
    """Gemma-2 norms what its MLP wrote before it is added."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    from bezoar.models import LanguageModel
    from tests.families import tiny_tokenizer

    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        final_logit_softcapping=None,
        sliding_window=64,
    )
    lm = LanguageModel(Gemma2ForCausalLM(config), tokenizer)
    with torch.no_grad():
        for parameter in lm.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    parts = component_attribution(lm, PROMPTS, [300])
    assert parts.logit.value == pytest.approx(float(own_logits(lm)[:, 300].mean()), abs=1e-3)
    neurons = sub_update_attribution(lm, PROMPTS, [300])
    for layer, total in enumerate(neurons.by_layer):
        mlp = next(p for p in parts.parts if p.component == f"{layer}.mlp_out")
        assert total == pytest.approx(mlp.logit.value, abs=1e-3)
