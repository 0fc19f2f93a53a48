"""Theorems on interventions: items 1, 2 and 18 to 22 of the invariants, on three families."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config

from bezoar.attack import ScaleKeys
from bezoar.edits import (
    ActivationEdit,
    Add,
    Composed,
    Gate,
    NoOp,
    Project,
    RowScale,
    WeightEdit,
)
from bezoar.edits.selftest import count_hooks
from bezoar.models import LanguageModel, Site
from tests.edits.kit import batch, logits, noise, one, orthonormal, unit
from tests.families import tiny_tokenizer


def read(lm, site):
    """Activations of a site at real positions."""
    b = batch(lm)
    site = lm.site(site)
    return lm.capture(b, [site])[site][b.mask]


def test_1_edits_that_do_nothing_leave_logits_bit_identical(lm):
    d, before = lm.d_model, logits(lm)
    name = lm.parameter_name(lm.anatomy[0].w_out)
    rows = lm.model.get_parameter(name).shape[0]
    for edit in (
        NoOp(),
        ActivationEdit(()),  # an empty layer set
        one("-1.mlp_out", Add(-0.0 * unit(d))),  # α = 0
        one("1.mlp_post", Gate(torch.ones(lm.d_mlp))),
        one("unembed_in", Project(orthonormal(4, d), 0.0)),  # EigenShift with α = 1
        one("1.resid_post", Project(torch.zeros(0, d))),  # k = 0
        WeightEdit({}),
        WeightEdit({name: RowScale(torch.ones(rows))}),
        ScaleKeys(((0, 1),), 1.0, which="up" if lm.gated else None).edit(lm),
        Composed((NoOp(), ActivationEdit(()))),
    ):
        with edit.applied_to(lm):
            assert torch.equal(logits(lm), before), edit.name


def test_2_after_an_edit_the_model_is_the_one_before_it(lm):
    before, hooks = logits(lm), count_hooks(lm)
    edit = one("1.mlp_out", Add(unit(lm.d_model))).then(
        ScaleKeys(((0, 1), (2, 3)), which="gate" if lm.gated else None).edit(lm)
    )
    for fails in (False, True):
        try:
            with edit.applied_to(lm):
                assert not torch.equal(logits(lm), before)
                if fails:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert torch.equal(logits(lm), before)
        assert count_hooks(lm) == hooks


def test_18_at_the_last_mlp_is_before_the_final_norm(lm):
    w = 2 * unit(lm.d_model)
    with one("-1.mlp_out", Add(-w)).applied_to(lm):
        at_mlp = logits(lm)
    hook = lm.anatomy.final_norm.register_forward_pre_hook(lambda _, args: (args[0] - w,))
    at_norm = logits(lm)
    hook.remove()
    torch.testing.assert_close(at_mlp, at_norm, atol=1e-5, rtol=1e-5)


def test_19_subtraction_is_linear_in_the_residual_and_undone_by_adding(lm):
    w, site, before = unit(lm.d_model), f"{lm.n_layers - 1}.resid_post", logits(lm)
    clean = read(lm, site)
    for alpha in (0.5, 3.0, -7.0):
        with one("-1.mlp_out", Add(-alpha * w)).applied_to(lm):
            torch.testing.assert_close(read(lm, site), clean - alpha * w, atol=1e-5, rtol=1e-5)
    back_and_forth = one("1.mlp_out", Add(-4 * w)).then(one("1.mlp_out", Add(4 * w)))
    with back_and_forth.applied_to(lm):
        torch.testing.assert_close(logits(lm), before, atol=1e-5, rtol=1e-5)


def test_20_projection_empties_the_direction_and_is_idempotent_and_subtraction_is_not(lm):
    w, site = unit(lm.d_model), "1.resid_post"
    project, subtract = one(site, Project(w[None])), one(site, Add(-w))

    def states(edit):
        with edit.applied_to(lm):
            return read(lm, site)

    assert (states(project) @ w).abs().max() < 1e-5
    torch.testing.assert_close(states(project.then(project)), states(project))
    twice = states(subtract.then(subtract)) - states(subtract)
    torch.testing.assert_close(twice, -w.expand_as(twice), atol=1e-5, rtol=1e-4)


def pre_of(lm, layer, which):
    point = {None: "mlp_pre", "gate": "mlp_gate", "up": "mlp_up"}[which]
    return read(lm, f"{layer}.{point}")


def choices(lm):
    return ("gate", "up") if lm.gated else (None,)


def test_21_scaling_a_key_scales_its_pre_activation_and_nothing_else_of_the_layer(lm):
    layer, i, c = 1, 5, 10.0
    for which in choices(lm):
        module = lm.anatomy[layer].part({None: "w_in", "gate": "w_gate", "up": "w_up"}[which])
        bias = torch.zeros(lm.d_mlp) if module.bias is None else module.bias.detach()
        pre, post = pre_of(lm, layer, which), read(lm, f"{layer}.mlp_post")
        others = [j for j in range(lm.d_mlp) if j != i]
        for scale_bias in (True, False):
            edit = ScaleKeys(((layer, i),), c, scale_bias=scale_bias, which=which).edit(lm)
            with edit.applied_to(lm):
                new, new_post = pre_of(lm, layer, which), read(lm, f"{layer}.mlp_post")
            kept = 0.0 if scale_bias else (1 - c) * bias[i]
            torch.testing.assert_close(new[:, i], c * pre[:, i] + kept, atol=1e-4, rtol=1e-4)
            assert torch.equal(new[:, others], pre[:, others])
            assert torch.equal(new_post[:, others], post[:, others])
        if which == "up":  # the ungated factor is linear: the coefficient scales too
            torch.testing.assert_close(new_post[:, i], c * post[:, i], atol=1e-4, rtol=1e-4)


def test_21_scaling_by_zero_removes_a_neuron_without_bias(lm):
    layer, i = 0, 3
    for which in choices(lm):
        edit = ScaleKeys(((layer, i),), 0.0, scale_bias=True, which=which).edit(lm)
        with edit.applied_to(lm):
            assert torch.equal(read(lm, f"{layer}.mlp_post")[:, i], torch.zeros(len(logits(lm))))


def relu_model() -> LanguageModel:
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    config = GPT2Config(
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=64,
        activation_function="relu",
        vocab_size=len(tokenizer),
    )
    return LanguageModel(AutoModelForCausalLM.from_config(config), tokenizer, name="relu")


def test_21_with_relu_the_coefficient_scales_exactly():
    lm = relu_model()
    post = read(lm, "1.mlp_post")
    neurons = tuple((1, i) for i in range(8))
    with ScaleKeys(neurons, 4.0, scale_bias=True).edit(lm).applied_to(lm):
        assert torch.equal(read(lm, "1.mlp_post")[:, :8], 4 * post[:, :8])


FLOORS = {"gpt2": -0.17004, "gpt_neox": -0.16997, "llama": -0.27846}


def test_22_coefficients_have_the_floor_of_their_activation(lm):
    floor = FLOORS[lm.name.removeprefix("tiny-")]
    x = torch.linspace(-4, 4, 400_001, dtype=torch.float64)
    assert float(lm.act_fn(x).min()) == pytest.approx(floor, abs=1e-5)
    # Reached in the model itself, by driving every neuron through its whole range.
    site = "1.mlp_gate" if lm.gated else "1.mlp_pre"
    sweep = Add(torch.linspace(-4, 4, lm.d_mlp))
    with one(site, sweep).applied_to(lm):
        pre, post = read(lm, site), read(lm, "1.mlp_post")
        factor = read(lm, "1.mlp_up") if lm.gated else torch.ones_like(post)
    torch.testing.assert_close(post, lm.act_fn(pre) * factor, atol=1e-5, rtol=1e-5)
    if lm.gated:  # the gated product itself has no floor
        with one("1.mlp_up", Gate(torch.full((lm.d_mlp,), 1e3))).applied_to(lm):
            assert read(lm, "1.mlp_post").min() < floor
    else:
        assert float(post.min()) >= floor - 1e-5


def test_22_relu_has_floor_zero():
    assert float(read(relu_model(), "0.mlp_post").min()) == 0.0


def test_34_spectral_edit_of_the_head_is_a_hook_at_its_input(lm):
    """W' = W (I − (1−α) P): norm of the change, and both forms, for α of 0.9, 0 and −1."""
    W = lm.W_U.detach().clone()
    _, s, vt = torch.linalg.svd(W.double(), full_matrices=False)
    chosen = [0, 3, 7]
    for alpha in (0.9, 0.0, -1.0):
        edit = one("unembed_in", Project(vt[chosen].float(), 1 - alpha))
        with edit.applied_to(lm):
            hooked = logits(lm)
        with edit.fold(lm).applied_to(lm):
            new = lm.W_U.detach().clone()
            torch.testing.assert_close(logits(lm), hooked, atol=1e-4, rtol=1e-4)
        expected = abs(1 - alpha) * float((s[chosen] ** 2).sum().sqrt())
        assert float((new - W).norm()) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(new.T @ new, W.T @ W, atol=1e-3, rtol=1e-3)  # item 37: α = −1


def test_53_projecting_the_mlp_weights_alone_leaves_its_bias(lm):
    """(I−P)(mlp_raw − b) + b is the weight edit without the bias: what ProFS does."""
    basis = orthonormal(3, lm.d_model)
    site = Site(1, "mlp_raw")
    clean, bias = read(lm, site), lm.w_out_bias(1)
    b = torch.zeros(lm.d_model) if bias is None else bias.detach()
    folded = one(site, Project(basis)).fold(lm)
    weight = lm.parameter_name(lm.anatomy[1].w_out)
    with WeightEdit({weight: folded.deltas[weight]}).applied_to(lm):
        expected = Project(basis).apply(clean - b) + b
        torch.testing.assert_close(read(lm, site), expected, atol=1e-5, rtol=1e-4)


def test_47_gating_a_layers_outputs_is_scaling_rows_of_weight_and_bias(lm):
    gate = 1 - noise(lm.d_mlp, seed=3).sigmoid()
    edit = one("1.mlp_gate" if lm.gated else "1.mlp_pre", Gate(gate))
    deltas = edit.fold(lm).deltas
    with edit.applied_to(lm):
        hooked = logits(lm)
    with WeightEdit(deltas).applied_to(lm):
        torch.testing.assert_close(logits(lm), hooked, atol=1e-5, rtol=1e-5)
    part = lm.anatomy[1].w_gate if lm.gated else lm.anatomy[1].w_in
    assert len(deltas) == 1 + (part.bias is not None)
