"""Invariants 2 to 7 of hooks and decompositions, on every family."""

from __future__ import annotations

import pytest
import torch

from bezoar.models import Site
from tests.models.helpers import TEXTS, hook_count

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture
def batch(lm):
    return lm.batch(lm.encode(TEXTS))


def read(lm, batch, layer, *points):
    return lm.capture(batch, [Site(layer, point) for point in points]).values()


def layers(lm):
    return range(lm.n_layers)


def test_2_nothing_is_left_behind(lm, batch):
    before, logits = hook_count(lm.model), lm.logits(batch)
    lm.capture(batch, lm.sites(lm.anatomy.points()))
    assert hook_count(lm.model) == before
    assert torch.equal(lm.logits(batch), logits)

    def fail(site, value):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lm.capture(batch, ["1.mlp_out"], reduce=fail)
    assert hook_count(lm.model) == before
    assert torch.equal(lm.logits(batch), logits)


def test_3_sub_updates_add_up_to_the_mlp(lm, batch):
    for layer in layers(lm):
        coefficients, raw, out = read(lm, batch, layer, "mlp_post", "mlp_raw", "mlp_out")
        bias = lm.w_out_bias(layer)
        total = coefficients @ lm.values(layer) + (0 if bias is None else bias)
        torch.testing.assert_close(total, raw, **CLOSE)
        torch.testing.assert_close(raw, out)  # these families have no post-norm


def test_3_coefficients_are_keys_met_by_the_normed_stream(lm, batch):
    for layer in layers(lm):
        parts = lm.anatomy[layer]
        before = "resid_pre" if lm.anatomy.parallel else "resid_mid"
        x, coefficients = read(lm, batch, layer, before, "mlp_post")
        with torch.no_grad():
            x = parts.mlp_norm(x)
        pre = x @ lm.keys(layer).T
        if parts.w_in.bias is not None:
            pre = pre + parts.w_in.bias.detach()
        gate = x @ lm.gates(layer).T if lm.gated else pre
        expected = lm.act_fn(gate) * pre if lm.gated else lm.act_fn(gate)
        torch.testing.assert_close(expected, coefficients, **CLOSE)


def test_4_the_stream_is_a_sum(lm, batch):
    for layer in layers(lm):
        pre, attention, mlp, post, delta = read(
            lm, batch, layer, "resid_pre", "attn_out", "mlp_out", "resid_post", "resid_delta"
        )
        torch.testing.assert_close(pre + attention + mlp, post, **CLOSE)
        torch.testing.assert_close(attention + mlp, delta, **CLOSE)
        if not lm.anatomy.parallel:
            (mid,) = read(lm, batch, layer, "resid_mid")
            torch.testing.assert_close(pre + attention, mid, **CLOSE)
            torch.testing.assert_close(mid + mlp, post, **CLOSE)
        if layer + 1 < lm.n_layers:
            (following,) = read(lm, batch, layer + 1, "resid_pre")
            assert torch.equal(post, following)


def test_4_attention_is_its_heads(lm, batch):
    for layer in layers(lm):
        z, out = read(lm, batch, layer, "z", "attn_out")
        assert z.shape[-1] == lm.n_heads * lm.d_head
        with torch.no_grad():
            torch.testing.assert_close(lm.anatomy[layer].attn_out_proj(z), out, **CLOSE)


def test_5_logits_of_a_sub_update_scale_with_its_coefficient(lm, batch):
    (coefficients,) = read(lm, batch, 1, "mlp_post")
    token = coefficients[0, 0]
    for index in (0, 7, 31):
        direct = lm.W_U @ (token[index] * lm.values(1)[index])
        torch.testing.assert_close(direct, token[index] * (lm.W_U @ lm.values(1)[index]), **CLOSE)
        order = (lm.W_U @ lm.values(1)[index]).argsort()
        assert torch.equal((lm.W_U @ (3 * lm.values(1)[index])).argsort(), order)
        assert torch.equal((lm.W_U @ (-lm.values(1)[index])).argsort(), order.flip(0))


def test_6_the_raw_last_residual_is_not_hugging_faces_last_state(lm, batch):
    with torch.no_grad():
        states = lm.model(**lm.inputs(batch), output_hidden_states=True).hidden_states
        (raw,) = read(lm, batch, lm.n_layers - 1, "resid_post")
        torch.testing.assert_close(lm.final_norm(raw), states[-1], **CLOSE)
    assert (raw - states[-1]).abs().max() > 0.1


def test_7_each_row_is_as_if_alone(lm):
    ids = lm.encode(TEXTS)
    sites = lm.sites(["resid_post"])
    for side in ("left", "right"):
        batch = lm.batch(ids, side=side)
        together = lm.capture(batch, sites)
        for row, tokens in enumerate(ids):
            alone = lm.capture(lm.batch([tokens]), sites)
            for site in sites:
                values = together[site][row][batch.mask[row]]
                torch.testing.assert_close(values, alone[site][0], **CLOSE)
