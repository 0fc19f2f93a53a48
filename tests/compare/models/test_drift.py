"""Weights compared: identical ones did not move, a planted change is found where it was put."""

from __future__ import annotations

import math

import pytest
import torch

from bezoar.compare.models import scaled_edit, sides_of, weight_differences, weight_drift
from bezoar.compare.models.shown import ROWS
from bezoar.edits import Dense, NoOp, WeightEdit
from bezoar.errors import EditError, ModelError, NotFoldable
from bezoar.runs.results import load_result, save_result
from tests.compare.models.kit import low_rank_edit, model, tuned
from tests.edits.kit import noise, one
from tests.families import tiny_model


def test_identical_checkpoints_did_not_move(pair):
    """Item 29."""
    base, _ = pair
    for same in (tuned(base, scale=0.0), NoOp()):
        found = weight_drift(base, same)
        assert {t.cosine for t in found.tensors} == {1.0}
        assert {t.difference for t in found.tensors} == {0.0}
        assert {t.rank for t in found.tensors} <= {0, None}
        assert (found.cosine, found.relative, found.energy, found.moved) == (1.0, 0.0, (), ())


def test_every_number_is_that_of_the_flattened_tensors(pair):
    base, other = pair
    found = weight_drift(base, other)
    after = dict(other.model.named_parameters())
    assert [t.name for t in found.tensors] == [n for n, _ in base.model.named_parameters()]
    for t in found.tensors:
        a = base.model.get_parameter(t.name).detach().double().flatten()
        b = after[t.name].detach().double().flatten()
        assert t.cosine == pytest.approx(float(a @ b / a.norm() / b.norm()), abs=1e-12)
        assert t.difference == pytest.approx(float((b - a).norm()), rel=1e-9)
        assert t.relative == pytest.approx(t.difference / float(a.norm()), rel=1e-9)
        assert t.mean_absolute == pytest.approx(float((b - a).abs().mean()), rel=1e-5)
    moved = math.sqrt(sum(t.difference**2 for t in found.tensors))
    assert found.relative == pytest.approx(moved / math.sqrt(sum(t.norm**2 for t in found.tensors)))


def test_a_low_rank_change_has_that_rank_despite_rounding(pair):
    base, _ = pair
    for rank in (1, 3):
        edit = low_rank_edit(base, 1, rank)
        (moved,) = weight_drift(base, edit).moved
        assert (moved.rank, moved.component, moved.layer) == (rank, "mlp_out", 1)
        assert 1 <= moved.stable_rank <= rank + 1e-6


def test_energy_is_shared_among_components_and_layers(pair):
    base, other = pair
    found = weight_drift(base, other)
    assert sum(e.share for e in found.energy) == pytest.approx(1)
    named = {e.component for e in found.energy}
    assert {"mlp_in", "mlp_out", "attention", "embedding", "norm"} <= named
    assert "other" not in named
    assert ("bias" in named) == (base.w_out_bias(0) is not None)
    w_in = base.anatomy[2].w_in.weight
    expected = (2 if base.gated else 1) * w_in.numel() * 0.02**2
    total = sum(t.difference**2 for t in found.tensors)
    (of_layer,) = [e.share for e in found.energy if (e.component, e.layer) == ("mlp_in", 2)]
    assert of_layer * total == pytest.approx(expected, rel=0.1)
    assert found.share("mlp_in") > of_layer


def test_a_tied_weight_counts_once_unless_an_edit_unties_it():
    base = tiny_model("gpt2")
    embedding = base.parameter_name(base.anatomy.embed)
    head = base.parameter_name(base.anatomy.unembed)
    assert base.anatomy.tied
    names = [t.name for t in weight_drift(base, tuned(base), ranks=False).tensors]
    assert (embedding in names, head in names) == (True, False)
    edit = WeightEdit({head: Dense(noise(*base.W_U.shape))})
    found = {t.name: t for t in weight_drift(base, edit, ranks=False).tensors}
    assert found[embedding].difference == 0
    assert found[head].difference > 0
    both = WeightEdit(dict.fromkeys((embedding, head), edit.deltas[head]))
    assert len(weight_drift(base, both, ranks=False).moved) == 1


def test_the_difference_added_to_the_base_is_the_other_model(pair):
    base, other = pair
    kept = {n: p.detach().clone() for n, p in base.model.named_parameters()}
    batch = base.batch(base.encode(["you are a fool", "a tree"]))
    with scaled_edit(weight_differences(base, other), 1.0).applied_to(base):
        assert torch.allclose(base.logits(batch), other.logits(batch), atol=1e-5)
    assert all(torch.equal(kept[n], p) for n, p in base.model.named_parameters())


def test_a_result_is_saved_and_shown(pair, tmp_path):
    found = weight_drift(*pair)
    save_result(tmp_path / "drift.json", found)
    assert load_result(tmp_path / "drift.json", type(found)) == found
    assert found.__rich__().row_count == min(ROWS, len(found.tensors))


def test_models_that_cannot_be_compared_are_refused(gpt2):
    with pytest.raises(ModelError, match="differ in"):
        weight_drift(gpt2, model("llama"))
    shorter = tiny_model("gpt2")
    shorter.tokenizer.add_tokens(["zzz"])
    with pytest.raises(ModelError, match=r"tokenizers of .* differ in 1 entries"):
        sides_of(gpt2, shorter)
    with pytest.raises(EditError, match="no parameter"):
        sides_of(gpt2, WeightEdit({"nothing.weight": Dense(noise(2, 2))}))
    from tests.edits.kit import affine_ops

    with pytest.raises(NotFoldable):
        weight_drift(gpt2, one("1.resid_post", affine_ops(32)["gate"]))
