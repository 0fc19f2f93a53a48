"""Folded weights do what hooks do, or the reason why they cannot is given."""

from __future__ import annotations

import contextlib

import pytest
import torch

from bezoar.edits import (
    ActivationEdit,
    Add,
    Affine,
    Bottleneck,
    Clamp,
    Conditional,
    Gate,
    LogitEdit,
    ModuleEdit,
    NoOp,
    Project,
    stream_site,
)
from bezoar.errors import NotFoldable
from bezoar.models import Site
from tests.edits.kit import affine_ops, last_logits, logits, noise, one, orthonormal, unit

POINTS = ("z", "attn_out", "mlp_pre", "mlp_gate", "mlp_up", "mlp_post", "mlp_raw", "mlp_out")


def width(lm, point: str) -> int:
    return lm.d_mlp if point in ("mlp_pre", "mlp_gate", "mlp_up", "mlp_post") else lm.d_model


def agree(lm, edit) -> None:
    with edit.applied_to(lm):
        hooked = logits(lm)
    with edit.fold(lm).applied_to(lm):
        folded = logits(lm)
    assert not torch.allclose(hooked, logits(lm), atol=1e-3)
    assert (folded - hooked).abs().max() <= 1e-5 * max(1.0, float(hooked.abs().max()))


@pytest.mark.parametrize("name", affine_ops(2))
def test_fold_is_hook_at_every_point_of_every_layer(lm, name):
    for point in POINTS:
        if point not in lm.anatomy.points():
            continue
        for layer in range(lm.n_layers):
            op = affine_ops(width(lm, point))[name]
            edit = one(Site(layer, point), op)
            needs_bias = op.affine().shift is not None
            module = lm.anatomy[layer]
            linear = {
                **dict.fromkeys(("z", "attn_out"), module.attn_out_proj),
                **dict.fromkeys(("mlp_post", "mlp_raw", "mlp_out"), module.w_out),
                **{"mlp_pre": module.w_in, "mlp_gate": module.w_gate, "mlp_up": module.w_up},
            }[point]
            if needs_bias and linear.bias is None:
                with pytest.raises(NotFoldable, match="has none in this architecture"):
                    edit.fold(lm)
            else:
                agree(lm, edit)


def test_fold_is_hook_at_both_ends_of_the_model(lm):
    for site in ("unembed_in", "embed"):
        for name in ("project", "gate"):
            agree(lm, one(site, affine_ops(lm.d_model)[name]))
    with pytest.raises(NotFoldable, match="needs a bias"):
        one("unembed_in", Add(unit(lm.d_model))).fold(lm)


@pytest.mark.parametrize("point", ["resid_pre", "resid_post"])
def test_a_constant_of_the_stream_folds_into_the_mlp_before_it(lm, point):
    edit = one(Site(1, point), Add(unit(lm.d_model)))
    if lm.w_out_bias(0) is None:
        with pytest.raises(NotFoldable):
            edit.fold(lm)
    else:
        agree(lm, edit)
        assert len(edit.fold(lm).deltas) == 1


def test_last_layer_subtraction_folds_exactly_into_one_bias_for_generation(lm):
    """x ← x − αw at the last position of the last MLP is a change of its bias (Lee et al.)."""
    w = 3 * unit(lm.d_model)
    edit = one("-1.mlp_out", Add(-w), "last")
    bias = lm.w_out_bias(lm.n_layers - 1)
    if bias is None:
        with pytest.raises(NotFoldable) as refused:
            edit.fold(lm)
        text = str(refused.value)
        assert "needs a bias" in text
        assert "down_proj" in text
        assert "has none in this architecture" in text
        return
    weights = edit.fold(lm)
    assert list(weights.deltas) == [lm.parameter_name(lm.anatomy[lm.n_layers - 1].w_out, "bias")]
    with weights.applied_to(lm):
        new = lm.w_out_bias(lm.n_layers - 1)
        torch.testing.assert_close(new.detach(), bias.detach() - w, atol=1e-6, rtol=0)
        folded = last_logits(lm)
    with edit.applied_to(lm):
        torch.testing.assert_close(last_logits(lm), folded, atol=1e-5, rtol=1e-5)


def test_last_position_edits_fold_in_the_last_block_only(lm):
    last = lm.n_layers - 1
    op = Project(unit(lm.d_model)[None])
    with pytest.raises(NotFoldable, match="last position only"):
        one("0.mlp_out", op, "last").fold(lm)
    with pytest.raises(NotFoldable, match="last position only"):
        one(Site(last, "resid_pre"), op, "last").fold(lm)
    for site in (Site(last, "attn_out"), Site(last, "mlp_out"), Site(None, "unembed_in")):
        edit = one(site, op, "last")
        with edit.applied_to(lm):
            hooked = last_logits(lm)
        with edit.fold(lm).applied_to(lm):
            torch.testing.assert_close(last_logits(lm), hooked, atol=1e-5, rtol=1e-5)


def test_what_no_weights_express_says_why(lm):
    d = lm.d_model
    v = unit(d)
    zero, one_ = torch.zeros(1), torch.ones(1)
    for op in (Conditional(v, 0.0, Add(v)), Clamp(v[None], v[None], zero, zero, one_)):
        edit = one("1.mlp_out", op)
        assert not edit.foldable
        with pytest.raises(NotFoldable, match="not an affine map"):
            edit.fold(lm)
    with pytest.raises(NotFoldable, match="every earlier layer"):
        one("1.resid_post", Project(v[None])).fold(lm)
    with pytest.raises(NotFoldable, match="first block"):
        one("0.resid_pre", Add(v)).fold(lm)
    with pytest.raises(NotFoldable, match="adds a layer"):
        ModuleEdit(Site(0, "mlp_out"), Bottleneck(v[None], zero, v[:, None])).fold(lm)
    with pytest.raises(NotFoldable, match="logits"):
        LogitEdit(((1,),), zero).then(NoOp()).fold(lm)


def test_many_edits_of_the_same_weights_fold_in_the_order_of_the_data(lm):
    d = lm.d_model
    basis = orthonormal(2, d, seed=8)
    edits = [
        one("1.mlp_out", Project(basis[:1], 0.8)),
        one(
            "1.mlp_raw", Gate(1 + noise(d, seed=1, scale=0.2))
        ),  # before mlp_out, though listed later
        one("1.mlp_post", Gate(1 + noise(lm.d_mlp, seed=2, scale=0.2))),
        one("unembed_in", Project(basis)),
        one("1.mlp_out", Affine(noise(d, 2, seed=3, scale=0.2), basis, torch.zeros(d))),
    ]
    composed = edits[0]
    for edit in edits[1:]:
        composed = composed.then(edit)
    agree(lm, composed)
    agree(lm, ActivationEdit(tuple(at for edit in edits for at in edit.ops)))


def test_a_fold_leaves_the_model_as_it_was(lm):
    before = logits(lm)
    for site in ("1.mlp_out", "1.resid_post"):
        with contextlib.suppress(NotFoldable):
            one(site, Project(unit(lm.d_model)[None])).then(NoOp()).fold(lm)
        assert torch.equal(logits(lm), before)


def test_no_op_folds_to_nothing(lm):
    assert not NoOp().fold(lm).deltas


def test_places_where_a_constant_acts_alike_have_one_name(lm):
    """Each place named as one: the hook shifts the same residual by the same constant."""
    v = unit(lm.d_model)
    post = Site(1, "resid_post")
    b = lm.batch([[1, 2, 3, 4]])
    clean = lm.capture(b, [post])[post]
    for site in lm.sites(["attn_out", "mlp_out", "mlp_raw", "resid_pre", "resid_post"]):
        if site.layer != 1:
            continue
        with one(site, Add(v)).applied_to(lm):
            shifted = lm.capture(b, [post])[post]
        same = torch.allclose(shifted, clean + v, atol=1e-5)
        assert same == (stream_site(lm, site) == post), site
    assert stream_site(lm, Site(2, "resid_pre")) == post
    assert stream_site(lm, Site(None, "unembed_in")) == Site(None, "unembed_in")
