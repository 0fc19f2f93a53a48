"""Applying, counting, nesting, undoing."""

from __future__ import annotations

import pytest
import torch

from bezoar.edits import (
    ActivationEdit,
    Add,
    Bottleneck,
    Composed,
    Dense,
    Gate,
    LogitEdit,
    ModuleEdit,
    NoOp,
    Project,
    RowScale,
    WeightEdit,
)
from bezoar.edits.selftest import count_hooks
from bezoar.errors import EditError, SiteError
from bezoar.models import Decoding, Site, generate
from tests.edits.kit import PROMPTS, batch, logits, noise, one, orthonormal, unit


def every_kind(lm):
    d = lm.d_model
    name = lm.parameter_name(lm.anatomy[0].w_out, "weight")
    return [
        NoOp(),
        WeightEdit({name: RowScale(1 + noise(lm.model.get_parameter(name).shape[0], scale=0.1))}),
        one("1.attn_out", Add(unit(d))),
        one("-1.resid_post", Project(unit(d)[None]), "last"),
        LogitEdit(((3,), (5, 6)), torch.tensor([-1.0, -torch.inf])),
        ModuleEdit(Site(0, "mlp_out"), Bottleneck(noise(4, d), noise(4), noise(d, 4))),
    ]


def test_undo_is_bit_exact_after_success_and_after_an_exception(lm):
    before, hooks = logits(lm), count_hooks(lm)
    state = {name: value.clone() for name, value in lm.model.state_dict().items()}
    for edit in [*every_kind(lm), Composed(tuple(every_kind(lm)))]:
        with edit.applied_to(lm):
            if not isinstance(edit, NoOp):
                assert not torch.equal(logits(lm), before), edit.kind
        assert torch.equal(logits(lm), before)
        with pytest.raises(RuntimeError, match="boom"), edit.applied_to(lm):
            logits(lm)
            raise RuntimeError("boom")
        assert torch.equal(logits(lm), before)
        assert count_hooks(lm) == hooks
    for name, value in lm.model.state_dict().items():
        assert torch.equal(value, state[name])


def test_an_edit_that_does_not_fit_leaves_the_model_alone(lm):
    before, hooks = logits(lm), count_hooks(lm)
    good = one("0.mlp_out", Add(unit(lm.d_model)))
    for bad in (
        one("0.mlp_out", Add(unit(lm.d_model + 1))),
        LogitEdit(((lm.d_vocab,),), torch.zeros(1)),
        WeightEdit({"no.such.weight": Dense(torch.zeros(1))}),
        WeightEdit({lm.parameter_name(lm.anatomy.embed): Dense(torch.zeros(2, 2))}),
    ):
        with pytest.raises(EditError), good.then(bad).applied_to(lm):
            pytest.fail("it was applied")
        assert torch.equal(logits(lm), before)
        assert count_hooks(lm) == hooks
    for read_only in ("0.resid_delta", "7.mlp_out"):
        with pytest.raises(SiteError), one(read_only, Add(unit(lm.d_model))).applied_to(lm):
            pytest.fail("it was applied")


def test_contexts_nest_and_compose_alike(lm):
    first, second = one("0.mlp_out", Add(unit(lm.d_model))), one("1.z", Gate(noise(lm.d_model)))
    with first.applied_to(lm):
        alone = logits(lm)
        with second.applied_to(lm):
            nested = logits(lm)
        assert torch.equal(logits(lm), alone)
    with first.then(second).applied_to(lm):
        assert torch.equal(logits(lm), nested)
    assert not torch.equal(alone, nested)


def test_order_matters_and_is_kept(lm):
    v = unit(lm.d_model)
    add, project = one("1.mlp_out", Add(v)), one("1.mlp_out", Project(v[None]))
    site = Site(1, "mlp_out")
    with add.then(project).applied_to(lm):
        removed = lm.capture(batch(lm), [site])[site]
    with project.then(add).applied_to(lm):
        added = lm.capture(batch(lm), [site])[site]
    assert (removed @ v).abs().max() < 1e-5
    assert (added @ v - 1).abs().max() < 1e-5
    assert [e.kind for e in add.then(project.then(NoOp())).edits] == [*["activation"] * 2, "no-op"]


def test_weights_come_before_activations_however_they_are_listed(lm):
    v = unit(lm.d_model)
    name = lm.parameter_name(lm.anatomy[1].w_out)
    weight = WeightEdit({name: Dense(noise(*lm.model.get_parameter(name).shape, scale=0.1))})
    shift = one("1.mlp_out", Project(v[None]))
    with weight.then(shift).applied_to(lm):
        one_way = logits(lm)
    with shift.then(weight).applied_to(lm):
        assert torch.equal(logits(lm), one_way)
    for order in (weight.then(shift), shift.then(weight)):
        with order.fold(lm).applied_to(lm):
            torch.testing.assert_close(logits(lm), one_way, atol=1e-5, rtol=1e-5)


def test_captured_values_are_the_edited_ones(lm):
    v = unit(lm.d_model)
    for site in lm.sites(["resid_pre", "attn_out", "mlp_out", "resid_post"]):
        clean = lm.capture(batch(lm), [site])[site]
        with one(site, Add(v)).applied_to(lm):
            edited = lm.capture(batch(lm), [site])[site]
        torch.testing.assert_close(edited, clean + v, atol=1e-6, rtol=1e-6)


def test_hooks_are_counted_once_a_forward_pass_and_once_a_decoded_token(lm):
    edit = ActivationEdit.at(lm.sites(["mlp_out"]), Add(unit(lm.d_model)), "last")
    with edit.applied_to(lm) as applied:
        logits(lm)
        assert applied.calls == {f"{i}.mlp_out": 1 for i in range(lm.n_layers)}
        made = generate(lm, PROMPTS[:1], Decoding(max_new_tokens=5))
    steps = len(made.tokens[0]) + (len(made.tokens[0]) < 5)
    assert applied.calls == {f"{i}.mlp_out": 1 + steps for i in range(lm.n_layers)}


def test_last_is_the_last_real_token_on_either_side(lm):
    """Position by position, by hand, on unpadded rows."""
    site = Site(1, "resid_post")
    op = Add(unit(lm.d_model))
    for side in ("left", "right"):
        b = batch(lm, side)
        clean = lm.capture(b, [site])[site]
        with one(site, op, "last").applied_to(lm):
            edited = lm.capture(b, [site])[site]
        for row in range(len(b)):
            moved = (edited - clean)[row][b.mask[row]]
            assert moved[:-1].abs().max() == 0
            torch.testing.assert_close(moved[-1], op.vector, atol=1e-5, rtol=1e-5)


def test_last_edits_make_the_same_text_whatever_the_batch(lm):
    edit = one("0.mlp_out", Add(6 * unit(lm.d_model, seed=3)), "last")
    decoding = Decoding(max_new_tokens=6)
    plain = generate(lm, PROMPTS, decoding).text
    with edit.applied_to(lm):
        together = generate(lm, PROMPTS, decoding).text
        alone = tuple(generate(lm, [prompt], decoding).text[0] for prompt in PROMPTS)
    assert together == alone
    assert together != plain


def test_all_and_last_agree_on_next_tokens_at_the_last_layer_only(lm):
    def next_logits(layer: int, positions: str):
        b = batch(lm, "left")
        with one(f"{layer}.mlp_out", Add(unit(lm.d_model)), positions).applied_to(lm):
            return lm.logits(b)[:, -1]

    torch.testing.assert_close(next_logits(-1, "all"), next_logits(-1, "last"))
    assert not torch.allclose(next_logits(0, "all"), next_logits(0, "last"), atol=1e-3)


def test_a_module_edit_is_the_layer_it_says(lm):
    d = lm.d_model
    layer = Bottleneck(noise(4, d), noise(4, seed=1), noise(d, 4, seed=2))
    site = Site(1, "resid_post")
    clean = lm.capture(batch(lm), [site])[site]
    with ModuleEdit(site, layer).applied_to(lm):
        edited = lm.capture(batch(lm), [site])[site]
    expected = clean + torch.nn.functional.gelu(clean @ layer.down.T + layer.bias) @ layer.up.T
    torch.testing.assert_close(edited, expected)


def test_editing_several_coordinates_of_a_subspace_is_one_projection(lm):
    basis = orthonormal(3, lm.d_model)
    at_once = one("1.resid_post", Project(basis))
    by_one = Composed(tuple(one("1.resid_post", Project(row[None])) for row in basis))
    with at_once.applied_to(lm):
        expected = logits(lm)
    with by_one.applied_to(lm):
        torch.testing.assert_close(logits(lm), expected, atol=1e-5, rtol=1e-5)
