"""Weight edits: exact undo, ties, packed weights, deltas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bezoar.edits import Chain, ColumnScale, Dense, LowRank, Project, RowScale, WeightEdit
from bezoar.errors import EditError, NotFoldable
from tests.edits.kit import logits, noise, one, unit
from tests.families import tiny_model


def test_deltas_are_what_they_say():
    w = noise(4, 3)
    a, b, rows, cols = noise(4, 2), noise(2, 3), noise(4), noise(3)
    torch.testing.assert_close(LowRank(a, b).apply(w), w + a @ b)
    torch.testing.assert_close(RowScale(rows).apply(w), torch.diag(rows) @ w)
    torch.testing.assert_close(ColumnScale(cols).apply(w), w @ torch.diag(cols))
    torch.testing.assert_close(RowScale(rows).apply(rows), rows**2)
    both = Chain((RowScale(rows), Dense(w)))
    torch.testing.assert_close(both.apply(w), torch.diag(rows) @ w + w)
    assert both.fits((4, 3))
    assert not both.fits((3, 4))


def test_the_original_tensor_is_kept_and_given_back():
    lm = tiny_model("gpt2")
    name = "transformer.h.0.mlp.c_fc.weight"
    parameter = lm.model.get_parameter(name)
    address = parameter.data_ptr()
    # Subtracting would not restore this: 1e30 + w − 1e30 = 0.
    edit = WeightEdit({name: Dense(torch.full_like(parameter, 1e30).detach())})
    with edit.applied_to(lm):
        assert lm.model.get_parameter(name) is not parameter
    assert lm.model.get_parameter(name) is parameter
    assert parameter.data_ptr() == address
    assert parameter.requires_grad


def test_an_edit_of_a_tied_head_leaves_the_input_embedding_alone(gpt2):
    """Invariant 42, for the weight form and the hook form."""
    assert gpt2.anatomy.tied
    ids = torch.arange(10)[None]
    embedded = gpt2.anatomy.embed(ids)
    hook = one("unembed_in", Project(unit(gpt2.d_model)[None]))
    weights = hook.fold(gpt2)
    assert list(weights.deltas) == ["lm_head.weight"]
    before = logits(gpt2)
    results = []
    for edit in (hook, weights):
        with edit.applied_to(gpt2):
            assert torch.equal(gpt2.anatomy.embed(ids), embedded)
            results.append(logits(gpt2))
            assert not torch.allclose(results[-1], before, atol=1e-3)
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    assert gpt2.anatomy.unembed.weight is gpt2.anatomy.embed.weight


def test_packed_and_unstored_weights_are_refused_and_hooks_still_work():
    lm = tiny_model("llama")
    down = lm.anatomy[1].w_out
    name = lm.parameter_name(down)
    hook = one("1.mlp_out", Project(unit(lm.d_model)[None]))
    real = down.weight

    class Packed(nn.Parameter):
        pass

    for stand_in, word in (
        (nn.Parameter(real.to(torch.int8), requires_grad=False), "packed"),
        (Packed(real.detach()), "packed"),
        (nn.Parameter(torch.empty_like(real, device="meta")), "offloaded"),
    ):
        down._parameters["weight"] = stand_in
        with pytest.raises(EditError, match=word):
            WeightEdit({name: RowScale(torch.ones(lm.d_model))}).check(lm)
        with pytest.raises(NotFoldable, match=word):
            hook.fold(lm)
    down._parameters["weight"] = Packed(real.detach())
    before = logits(lm)
    with hook.applied_to(lm):
        assert not torch.allclose(logits(lm), before, atol=1e-3)


def test_half_precision_is_computed_wide_and_rounded_once():
    lm = tiny_model("llama")
    lm.model.to(torch.bfloat16)
    weight = lm.anatomy[0].w_out.weight
    a, b = noise(weight.shape[0], 3, seed=1), noise(3, weight.shape[1], seed=2)
    with WeightEdit({lm.parameter_name(lm.anatomy[0].w_out): LowRank(a, b)}).applied_to(lm):
        new = lm.anatomy[0].w_out.weight
        assert new.dtype == torch.bfloat16
        assert torch.equal(new, (weight.float() + a @ b).to(torch.bfloat16))


def test_a_result_that_is_not_finite_is_refused(gpt2):
    name = "transformer.h.0.mlp.c_fc.bias"
    size = gpt2.model.get_parameter(name).shape[0]
    with pytest.raises(EditError, match="infinite or NaN"):
        WeightEdit({name: Dense(torch.full((size,), torch.inf))}).new_values(gpt2)


def test_an_unknown_parameter_is_answered_with_the_nearest(gpt2):
    with pytest.raises(EditError, match="c_proj"):
        WeightEdit({"transformer.h.0.mlp.c_prj.weight": Dense(torch.zeros(1))}).check(gpt2)


def test_fingerprints_follow_the_weights_and_come_back(gpt2, monkeypatch):
    name = "transformer.h.0.mlp.c_fc.bias"
    size = gpt2.model.get_parameter(name).shape[0]
    base = gpt2.fingerprint
    seen = set()
    for scale in (0.5, 1.0, 1.5, 2.0):
        with WeightEdit({name: Dense(torch.full((size,), scale))}).applied_to(gpt2):
            seen.add(gpt2.fingerprint)
        with monkeypatch.context() as patch:
            again = "bezoar.models.language_model.fingerprint_of"
            patch.setattr(again, lambda *_: pytest.fail("hashed again"))
            assert gpt2.fingerprint == base
    assert len(seen) == 4
