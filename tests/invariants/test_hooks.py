"""Invariants 1 to 7 of hooks and decompositions, on every family."""

from __future__ import annotations

import pytest
import torch

from bezoar.edits import ActivationEdit, Add, Composed, Gate, NoOp, Project, WeightEdit
from bezoar.errors import ModelError, SiteError, UnsupportedAnatomy
from bezoar.models import Site
from bezoar.models.trace import first_tensor
from tests.edits.kit import one, orthonormal, unit
from tests.invariants.applies import why_not
from tests.models import zoo
from tests.models.helpers import TEXTS, hook_count

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(params=zoo.FAMILIES)
def lm(request):
    return zoo.family_model(request.param)


@pytest.fixture
def batch(lm):
    return lm.batch(lm.encode(TEXTS))


def read(lm, batch, layer, *points):
    """Values at real positions."""
    captured = lm.capture(batch, [Site(layer, point) for point in points])
    return [value[batch.mask] for value in captured.values()]


def layers(lm):
    return range(lm.n_layers)


@torch.no_grad()
def numbers(lm, batch):
    """Logits, or last hidden states where there are none, at real positions."""
    if lm.has_unembedding:
        return lm.logits(batch)[batch.mask]
    return first_tensor(lm.anatomy.base(**lm.inputs(batch)))[batch.mask]


def test_1_edits_that_do_nothing_leave_the_numbers_bit_identical(lm, batch):
    before = numbers(lm, batch)
    w = unit(lm.d_model)
    edits = [
        NoOp(),
        ActivationEdit(()),
        WeightEdit({}),
        one("-1.mlp_out", Add(0 * w)),
        one("0.attn_out", Add(0 * w)),
        one("-1.resid_post", Project(torch.zeros(0, lm.d_model))),
        one("0.resid_pre", Gate(torch.ones(lm.d_model))),
        Composed((NoOp(), ActivationEdit(()))),
    ]
    if lm.has_unembedding:
        edits.append(one("unembed_in", Project(orthonormal(4, lm.d_model), 0.0)))
    if not why_not(lm, "3"):
        edits += [
            one(f"1.{point}", Gate(torch.ones(lm.d_mlp)))
            for point in (("mlp_gate", "mlp_up") if lm.gated else ("mlp_pre", "mlp_post"))
        ]
    for edit in edits:
        with edit.applied_to(lm):
            assert torch.equal(numbers(lm, batch), before), edit


def test_1_an_edit_that_does_something_is_seen(lm, batch):
    before = numbers(lm, batch)
    for site in ("0.attn_out", "0.mlp_out", "-1.resid_post", "0.resid_pre", "embed"):
        width = lm.d_embed if site == "embed" else lm.d_model
        with one(site, Add(unit(width))).applied_to(lm) as applied:
            assert (numbers(lm, batch) - before).abs().max() > 1e-3, site
        assert sum(applied.calls.values()) == 1, site
    assert torch.equal(numbers(lm, batch), before)


def test_2_nothing_is_left_behind(lm, batch):
    count, before = hook_count(lm.model), numbers(lm, batch)
    lm.capture(batch, lm.sites(lm.anatomy.points()))
    assert hook_count(lm.model) == count
    assert torch.equal(numbers(lm, batch), before)

    def fail(site, value):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lm.capture(batch, ["1.mlp_out"], reduce=fail)
    with pytest.raises(KeyboardInterrupt), one("0.mlp_out", Add(unit(lm.d_model))).applied_to(lm):
        raise KeyboardInterrupt
    assert hook_count(lm.model) == count
    assert torch.equal(numbers(lm, batch), before)


def test_3_sub_updates_add_up_to_the_mlp(lm, batch):
    if why_not(lm, "3"):
        with pytest.raises(UnsupportedAnatomy, match="linear maps"):
            lm.values(0)
        with pytest.raises(UnsupportedAnatomy, match="linear maps"):
            lm.site("0.mlp_post")
        return
    for layer in layers(lm):
        coefficients, raw, out = read(lm, batch, layer, "mlp_post", "mlp_raw", "mlp_out")
        bias = lm.w_out_bias(layer)
        total = coefficients @ lm.values(layer) + (0 if bias is None else bias)
        torch.testing.assert_close(total, raw, **CLOSE)
        parts = lm.anatomy[layer]
        with torch.no_grad():
            added = raw if parts.mlp_post_norm is None else parts.mlp_post_norm(raw)
        torch.testing.assert_close(parts.mlp_factor * added, out, **CLOSE)
        assert (parts.mlp_post_norm is None) or (raw - out).abs().max() > 1e-2


def test_3_coefficients_are_keys_met_by_the_normed_stream(lm, batch):
    if why_not(lm, "3"):
        return
    for layer in layers(lm):
        parts = lm.anatomy[layer]
        before = "resid_pre" if lm.anatomy.parallel else "resid_mid"
        x, coefficients = read(lm, batch, layer, before, "mlp_post")
        with torch.no_grad():
            x = x if parts.mlp_norm is None else parts.mlp_norm(x)
        pre = x @ lm.keys(layer).T
        if getattr(parts.w_in, "bias", None) is not None:
            bias = parts.w_in.bias.detach()
            pre = pre + (bias if parts.up_features is None else bias[parts.up_features])
        gate = pre
        if lm.gated:
            gate = x @ lm.gates(layer).T
            if getattr(parts.w_gate, "bias", None) is not None:
                bias = parts.w_gate.bias.detach()
                gate = gate + (bias if parts.gate_features is None else bias[parts.gate_features])
            written = read(lm, batch, layer, "mlp_gate", "mlp_up")
            torch.testing.assert_close(written[0], gate, **CLOSE)
            torch.testing.assert_close(written[1], pre, **CLOSE)
        expected = lm.act_fn(gate) * pre if lm.gated else lm.act_fn(gate)
        torch.testing.assert_close(expected, coefficients, **CLOSE)


def test_4_what_is_added_adds_up(lm, batch):
    for layer in layers(lm):
        parts = lm.anatomy[layer]
        pre, attention, mlp, post, delta = read(
            lm, batch, layer, "resid_pre", "attn_out", "mlp_out", "resid_post", "resid_delta"
        )
        torch.testing.assert_close(post - pre, delta)
        if parts.parallel:
            torch.testing.assert_close(pre + attention + mlp, post, **CLOSE)
            with pytest.raises(SiteError, match="parallel"):
                lm.site(f"{layer}.resid_mid")
        else:
            (mid,) = read(lm, batch, layer, "resid_mid")
            with torch.no_grad():
                first = parts.mid_norm(pre + attention) if parts.post_ln else pre + attention
                second = parts.post_norm(mid + mlp) if parts.post_ln else mid + mlp
            torch.testing.assert_close(first, mid, **CLOSE)
            torch.testing.assert_close(second, post, **CLOSE)
        if layer + 1 < lm.n_layers:
            (following,) = read(lm, batch, layer + 1, "resid_pre")
            assert torch.equal(post, following)


def test_4_attention_is_its_heads(lm, batch):
    for layer in layers(lm):
        parts = lm.anatomy[layer]
        if not parts.heads:
            with pytest.raises(SiteError, match=rf"{layer}\.z: .* not made of heads"):
                lm.site(f"{layer}.z")
            continue
        z, out = read(lm, batch, layer, "z", "attn_out")
        assert z.shape[-1] == lm.n_heads * lm.d_head
        with torch.no_grad():
            added = parts.attn_out_proj(z)
            added = added if parts.attn_post_norm is None else parts.attn_post_norm(added)
        torch.testing.assert_close(parts.attn_factor * added, out, **CLOSE)


def test_5_logits_of_a_sub_update_scale_with_its_coefficient(lm, batch):
    if reason := why_not(lm, "5"):
        with pytest.raises(ModelError, match="linear maps" if "experts" in reason else "no logits"):
            lm.W_U @ lm.values(1)[0]
        return
    (coefficients,) = read(lm, batch, 1, "mlp_post")
    token = coefficients[0]
    for index in (0, 7, 31):
        direct = lm.W_U @ (token[index] * lm.values(1)[index])
        torch.testing.assert_close(direct, token[index] * (lm.W_U @ lm.values(1)[index]), **CLOSE)
        order = (lm.W_U @ lm.values(1)[index]).argsort()
        assert torch.equal((lm.W_U @ (4 * lm.values(1)[index])).argsort(), order)
        assert torch.equal((lm.W_U @ (-lm.values(1)[index])).argsort(), order.flip(0))


def test_5_the_unembedding_is_the_models_own(lm, batch):
    if not lm.has_unembedding:
        with pytest.raises(SiteError, match="no unembedding"):
            lm.site("unembed_in")
        return
    x = lm.capture(batch, ["unembed_in"])[Site(None, "unembed_in")][batch.mask]
    logits = x @ lm.W_U.T
    if lm.b_U is not None:
        logits = logits + lm.b_U
    logits = logits * lm.anatomy.logit_scale
    cap = getattr(lm.model.config, "final_logit_softcapping", None)
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    with torch.no_grad():
        torch.testing.assert_close(lm.unembed(x), numbers(lm, batch), **CLOSE)
    torch.testing.assert_close(logits, numbers(lm, batch), **CLOSE)


def test_6_the_raw_last_residual_is_not_hugging_faces_last_state(lm, batch):
    with torch.no_grad():
        states = lm.model(**lm.inputs(batch), output_hidden_states=True).hidden_states
    last = states[-1][batch.mask]
    (raw,) = read(lm, batch, lm.n_layers - 1, "resid_post")
    if why_not(lm, "6"):
        assert lm.anatomy.post_ln
        project = lm.anatomy.unembed_proj or torch.nn.Identity()
        with torch.no_grad():
            torch.testing.assert_close(project(raw), last, **CLOSE)
        return
    with torch.no_grad():
        torch.testing.assert_close(lm.final_norm(raw), last, **CLOSE)
    assert (raw - last).abs().max() > 0.1


@pytest.mark.parametrize("side", ["left", "right"])
def test_7_each_row_is_as_if_alone(lm, side):
    ids = lm.encode(TEXTS)
    batch = lm.batch(ids, side=side)
    together = numbers(lm, batch).split(batch.lengths.tolist())
    for row, tokens in zip(together, ids, strict=True):
        with torch.no_grad():
            if lm.has_unembedding:
                plain = lm.model(input_ids=torch.tensor([tokens])).logits[0]
            else:
                plain = lm.model(input_ids=torch.tensor([tokens])).last_hidden_state[0]
        torch.testing.assert_close(row, plain, **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
def test_7_padding_changes_no_site(lm, side):
    ids = lm.encode(TEXTS)
    points = (*lm.anatomy.points(), "embed", *(["unembed_in"] if lm.has_unembedding else []))
    sites = lm.sites(points)
    batch = lm.batch(ids, side=side)
    together = lm.capture(batch, sites)
    for row, tokens in enumerate(ids):
        alone = lm.capture(lm.batch([tokens]), sites)
        for site in sites:
            values = together[site][row][batch.mask[row]]
            torch.testing.assert_close(values, alone[site][0], **CLOSE)
