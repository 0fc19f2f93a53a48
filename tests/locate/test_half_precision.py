"""In half precision the lens and the attributions say what they say in float32, to its digits."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from bezoar.compare.models import head_contributions, lens_comparison
from bezoar.locate import (
    Lens,
    component_attribution,
    logit_lens,
    promoted_tokens,
    sub_update_attribution,
)
from bezoar.locate.norm import Norm
from bezoar.models import LanguageModel
from tests.compare.models.kit import FAMILIES, model
from tests.locate.kit import PROMPTS

DIGITS = {torch.float16: 0.01, torch.bfloat16: 0.08}
"""How far a result may be off, by what it comes to: some roundings, one after another."""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """A tiny model whose norms have a gain of their own."""
    lm = model(request.param)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in lm.model.named_parameters():
            if parameter.ndim == 1 and "bias" not in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return lm


@pytest.fixture(params=DIGITS, ids=str)
def both(request, family):
    """The model in half precision, and in float32 with the very same (rounded) weights."""
    half = copy.deepcopy(family.model).to(request.param)
    whole = copy.deepcopy(half).float()
    return LanguageModel(half, family.tokenizer), LanguageModel(whole, family.tokenizer)


def near(lm, values, expected):
    values, expected = np.asarray(values), np.asarray(expected)
    off = np.abs(values - expected).max() / np.abs(expected).max()
    return off < DIGITS[lm.dtype]


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_norm_that_lies_on_disk_is_read_too(name, tmp_path):
    """Its weights are fetched; what it is called with may be wider than they are."""
    lm = model(name)
    lm.model.half().save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    modules = dict(lm.model.named_modules())
    away = next(path for path, module in modules.items() if module is lm.anatomy.final_norm)
    leaves = [path for path, module in modules.items() if not any(module.children())]
    places = {path: "disk" if path == away else "cpu" for path in leaves}
    offloaded = LanguageModel.from_pretrained(tmp_path, device_map=places)
    norm = offloaded.anatomy.final_norm
    assert norm.weight.is_meta
    whole = LanguageModel.from_pretrained(tmp_path)
    taken, expected = (Norm.of(x.anatomy.final_norm, torch.zeros(32)) for x in (offloaded, whole))
    assert torch.equal(taken.parts.gain, expected.parts.gain)
    assert norm.weight.is_meta
    half, full = (logit_lens(x, PROMPTS, 5, "frozen_scale") for x in (offloaded, whole))
    assert half.mean == pytest.approx(full.mean, rel=1e-3)


def test_the_norm_is_taken_apart_as_in_float32(both):
    half, whole = (Norm.of(lm.anatomy.final_norm, torch.zeros(lm.d_model)) for lm in both)
    assert half.parts.gain.dtype == torch.float32
    assert half.parts.centred == whole.parts.centred
    torch.testing.assert_close(half.parts.gain, whole.parts.gain)
    torch.testing.assert_close(half.bias, whole.bias)


@pytest.mark.parametrize("bias", [True, False])
def test_the_frozen_lens_is_that_of_float32(both, bias):
    half, whole = (
        logit_lens(lm, PROMPTS, [60, 300], "frozen_scale", include_bias=bias, example=None)
        for lm in both
    )
    assert near(both[0], half.mean, whole.mean)


def test_the_frozen_lens_ends_at_the_models_own_distribution(both):
    lm = both[0]
    ids = lm.encode(PROMPTS[:1])
    site = lm.site("-1.resid_post")
    last = lm.capture(lm.batch(ids), [site])[site][0, -1:]
    own = lm.logits(lm.batch(ids))[0, -1].float().detach()
    assert near(lm, Lens(lm, "frozen_scale").logits(last, last)[0].float(), own)


def test_components_and_neurons_add_what_they_add_in_float32(both):
    options = {"token_ids": [300], "against": [60, 5]}
    half, whole = (component_attribution(lm, PROMPTS, **options) for lm in both)
    assert near(both[0], [p.logit.value for p in half.parts], [p.logit.value for p in whole.parts])
    rows = [
        lm.logits(lm.batch([ids]))[0, -1].float() for lm in both[:1] for ids in lm.encode(PROMPTS)
    ]
    own = torch.stack(rows)
    expected = float((own[:, 300] - own[:, [60, 5]].mean(-1)).mean())
    assert half.logit.value == pytest.approx(
        expected, abs=DIGITS[both[0].dtype] * float(own.abs().max())
    )
    half, whole = (sub_update_attribution(lm, PROMPTS, **options) for lm in both)
    assert near(both[0], half.by_layer, whole.by_layer)


def test_heads_add_what_they_add_in_float32(both):
    half, whole = (head_contributions(lm, lm, PROMPTS, 300) for lm in both)
    assert near(both[0], [h.base for h in half.heads], [h.base for h in whole.heads])


def test_folded_scores_are_those_of_float32(both):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    scores = []
    for lm in both:
        found = promoted_tokens(lm, vector, lm.d_vocab, fold_norm=True).promoted
        scores.append([t.score for t in sorted(found, key=lambda t: t.id)])
    assert near(both[0], *scores)


@pytest.mark.parametrize("mode", ["default", "frozen_scale"])
def test_a_model_in_half_precision_beside_itself_has_not_changed(both, mode):
    found = lens_comparison(both[0], both[0], PROMPTS, [5], mode)
    assert all(step.low == step.high == 0 for step in found.change)
    assert all(0 < state.value < 1 for state in found.base)
