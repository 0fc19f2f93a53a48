"""The self-test finds edits that do not act."""

from __future__ import annotations

import pytest
import torch

from bezoar.edits import (
    ActivationEdit,
    Add,
    Conditional,
    Dense,
    LogitEdit,
    NoOp,
    Project,
    WeightEdit,
    places,
    self_test,
)
from bezoar.errors import DataError, EditError, EditHasNoEffect
from bezoar.runs.results import load_result, save_result
from tests.edits.kit import PROMPTS, one, unit


def test_a_working_edit_passes_and_its_numbers_are_true(lm, tmp_path):
    edit = ActivationEdit.at(lm.sites(["mlp_out"]), Project(unit(lm.d_model)[None]), name="p")
    result = self_test(edit, lm, PROMPTS)
    assert result.hook_calls == result.expected_calls == lm.n_layers * result.forward_passes
    assert result.forward_passes >= 2  # one over the prompts, then token by token
    assert result.logit_change > 1e-3
    assert result.folded_max_difference <= 1e-5
    assert result.restored_exactly
    save_result(tmp_path / "r.json", result)
    assert load_result(tmp_path / "r.json", type(result)) == result


def test_a_no_op_may_do_nothing(lm):
    result = self_test(NoOp(), lm, PROMPTS)
    assert result.logit_change == 0
    assert result.folded_max_difference == 0


def test_edits_without_effect_are_found(lm):
    name = lm.parameter_name(lm.anatomy[0].w_out)
    shape = lm.model.get_parameter(name).shape
    for edit in (
        one("1.mlp_out", Add(torch.zeros(lm.d_model))),
        WeightEdit({name: Dense(torch.zeros(shape))}),
        one("1.mlp_out", Conditional(unit(lm.d_model), 1e9, Add(unit(lm.d_model)))),
        LogitEdit((), torch.zeros(0)),
    ):
        with pytest.raises(EditHasNoEffect, match="no next-token logit"):
            self_test(edit, lm, PROMPTS)


def test_a_hook_that_is_bypassed_is_found(lm):
    """As with a fused kernel: the block runs, and this time not through the hooked module."""
    edit = one("1.mlp_raw", Add(unit(lm.d_model))).then(one("0.attn_out", Add(unit(lm.d_model))))
    part = lm.anatomy[1].w_out
    real, calls = part.__class__, []

    class Fused(real):
        def __call__(self, x):
            calls.append(1)
            return self.forward(x) if len(calls) == 2 else super().__call__(x)

    part.__class__ = Fused
    try:
        with pytest.raises(EditHasNoEffect, match=r"1\.mlp_raw ran"):
            self_test(edit, lm, PROMPTS)
    finally:
        part.__class__ = real


def test_a_wrong_fold_is_found(lm, monkeypatch):
    edit = one("1.mlp_out", Project(unit(lm.d_model)[None]))
    monkeypatch.setitem(places._WRITERS, "mlp_out", "attn_out_proj")
    with pytest.raises(EditError, match="do not do what its hooks do"):
        self_test(edit, lm, PROMPTS)


def test_a_ban_gives_finite_numbers(lm):
    result = self_test(LogitEdit(((5,),), torch.tensor([-torch.inf])), lm, PROMPTS)
    assert 1e3 < result.logit_change < 1e6
    assert result.folded_max_difference is None
    assert "logits" in result.fold_reason


def test_prompts_are_needed(lm):
    with pytest.raises(DataError):
        self_test(NoOp(), lm, [])
