"""Theorems on the logit lens (6, 9-11), on every family with an unembedding."""

from __future__ import annotations

import pytest
import torch

from bezoar.errors import UnsupportedAnatomy
from bezoar.locate import Lens, logit_lens
from bezoar.locate.last_tokens import last_values
from bezoar.locate.lens import lens_sites
from bezoar.locate.norm import AffineNorm
from tests.invariants.applies import why_not
from tests.locate.kit import PROMPTS
from tests.models import zoo

IDS = (60, 300, 301)


@pytest.fixture(params=zoo.DECODERS)
def lm(request):
    return zoo.family_model(request.param)


def final_distribution(lm):
    """The model's own next-token distribution after each prompt, one prompt at a time."""
    rows = [lm.logits(lm.batch([ids]))[0, -1] for ids in lm.encode(PROMPTS)]
    return torch.stack(rows).softmax(-1)


def lens_rows(lm, lens):
    sites = lens_sites(lm)
    values = last_values(lm, lm.encode(PROMPTS), sites)
    return [lens.logits(values[s], values[sites[-1]]).softmax(-1) for s in sites]


@pytest.mark.parametrize("mode", ["default", "frozen_scale"])
def test_9_the_last_state_is_the_models_own_softmax(lm, mode):
    own = final_distribution(lm)
    assert torch.allclose(lens_rows(lm, Lens(lm, mode))[-1], own, atol=1e-6, rtol=1e-4)
    result = logit_lens(lm, PROMPTS, IDS, mode)
    expected = float(own[:, list(IDS)].sum(-1).mean())
    assert result.probability[-1].value == pytest.approx(expected, rel=1e-4)


def test_9_leaving_the_bias_out_is_detected_where_there_is_one(lm):
    own = final_distribution(lm)
    without = lens_rows(lm, Lens(lm, "frozen_scale", include_bias=False))[-1]
    off = float((without / own).log().abs().max())
    bias = getattr(lm.anatomy.final_norm, "bias", None)
    if bias is None and lm.b_U is None:
        assert off < 1e-4
    else:
        assert off > 1e-2


@pytest.mark.parametrize("name", zoo.ENCODERS)
def test_9_a_model_without_an_unembedding_has_no_lens(name):
    model = zoo.family_model(name)
    assert all(why_not(model, item) for item in ("9", "10", "11"))
    with pytest.raises(UnsupportedAnatomy, match="no unembedding"):
        Lens(model)


def test_6_the_lens_reads_the_raw_residual(lm):
    """Hugging Face's last hidden state is already normed: read as raw, it gives other numbers."""
    if why_not(lm, "6"):
        return
    batch = lm.batch(lm.encode(PROMPTS[:1]))
    with torch.no_grad():
        states = lm.model(**lm.inputs(batch), output_hidden_states=True).hidden_states
    site = lens_sites(lm)[-1]
    raw = lm.capture(batch, [site])[site]
    assert torch.allclose(lm.final_norm(raw), states[-1], atol=1e-4)
    assert not torch.allclose(raw, states[-1], atol=1e-2)


@pytest.mark.parametrize("mid", [True, False])
@pytest.mark.parametrize("mode", ["default", "frozen_scale"])
def test_10_states_are_counted_and_rows_sum_to_one(lm, mode, mid):
    sites = lens_sites(lm, mid=mid)
    has_mid = mid and not lm.anatomy.parallel
    assert len(sites) == (2 * lm.n_layers + 1 if has_mid else lm.n_layers + 1)
    result = logit_lens(lm, PROMPTS, range(lm.d_vocab), mode, mid=mid)
    assert result.states == tuple(map(str, sites))
    assert result.mean == pytest.approx([1.0] * len(sites), abs=1e-5)
    assert len(result.increments) == len(sites) - 1


def test_11_a_folded_lens_with_its_folded_bias_equals_the_unfolded_one(lm):
    if why_not(lm, "11"):
        return
    state = last_values(lm, lm.encode(PROMPTS), lens_sites(lm))[lens_sites(lm)[1]]
    with torch.no_grad():
        parts = AffineNorm.of(lm.final_norm, torch.zeros(lm.d_model))
        normed = lm.final_norm(state)
        bare = parts.centre(state) / parts.scale(state, normed)
        folded = bare @ (lm.W_U * parts.gain).T + lm.W_U @ parts.bias
        folded = folded if lm.b_U is None else folded + lm.b_U
        folded = lm.anatomy.logit_scale * folded
        cap = getattr(lm.model.config, "final_logit_softcapping", None)
        folded = folded if cap is None else cap * torch.tanh(folded / cap)
        assert torch.allclose(folded, lm.unembed(normed), atol=1e-4)


def test_modes_differ_before_the_end(lm):
    default, frozen = (lens_rows(lm, Lens(lm, mode))[0] for mode in ("default", "frozen_scale"))
    # Without a final norm there is no scale to freeze.
    assert torch.allclose(default, frozen, rtol=1e-2) == bool(why_not(lm, "6"))
