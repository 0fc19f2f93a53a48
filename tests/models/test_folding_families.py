"""What folds into the weights of which family, and that an export keeps the source's dtype."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from bezoar.attack import ScaleKeys
from bezoar.edits import Gate, Project, export, self_test
from bezoar.errors import NotFoldable, UnsupportedAnatomy
from bezoar.models import LanguageModel, Site
from tests.edits.kit import Add, Affine, noise, one, orthonormal, unit
from tests.invariants.applies import EXPERTS, why_not
from tests.invariants.test_hooks import numbers
from tests.models import zoo
from tests.models.capabilities import BIASED, last_subtraction
from tests.models.helpers import TEXTS

TIGHT = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(params=zoo.FAMILIES)
def lm(request):
    return zoo.family_model(request.param)


@pytest.fixture
def batch(lm):
    return lm.batch(lm.encode(TEXTS))


def same_folded(lm, batch, edit):
    """The numbers of the hooked edit, after seeing that its folded form gives them too."""
    with edit.applied_to(lm):
        hooked = numbers(lm, batch)
    with edit.fold(lm).applied_to(lm):
        torch.testing.assert_close(numbers(lm, batch), hooked, atol=1e-4, rtol=1e-4)
    return hooked


def test_the_last_subtraction_folds_where_there_is_a_bias(lm, batch):
    edit = one("-1.mlp_out", Add(-3 * unit(lm.d_model)))
    reason = last_subtraction(lm)
    assert (reason == "") == (lm.name in BIASED)
    if reason:
        with pytest.raises(NotFoldable, match=reason):
            edit.fold(lm)
        return
    before = numbers(lm, batch)
    assert (same_folded(lm, batch, edit) - before).abs().max() > 1e-2
    (name,) = edit.fold(lm).deltas
    assert name == lm.parameter_name(lm.anatomy[-1].w_out, "bias")
    if lm.has_unembedding:
        assert self_test(edit, lm, TEXTS).folded_max_difference < 1e-5


def test_a_shift_of_the_normed_stream_folds_into_its_norm(lm, batch):
    edit = one("0.resid_post", Add(unit(lm.d_model)))
    if not lm.anatomy.post_ln:
        return
    same_folded(lm, batch, edit)
    same_folded(lm, batch, one("1.resid_mid", Add(unit(lm.d_model))))
    (name,) = edit.fold(lm).deltas
    assert name == lm.parameter_name(lm.anatomy[0].post_norm, "bias")
    with pytest.raises(NotFoldable, match="norm writes"):
        one("0.resid_mid", Gate(2 * torch.ones(lm.d_model))).fold(lm)


def test_gates_and_projections_fold_on_both_factors(lm, batch):
    if why_not(lm, "3") == EXPERTS:
        with pytest.raises(UnsupportedAnatomy):
            one("0.mlp_post", Gate(torch.ones(16))).fold(lm)
        return
    d = lm.d_mlp
    gate = Gate(1 - noise(d, seed=3).sigmoid())
    mix = Affine(noise(d, 2, seed=3, scale=0.1), noise(2, d, seed=4), torch.zeros(d))
    for point in ("mlp_gate", "mlp_up") if lm.gated else ("mlp_pre",):
        for op in (gate, mix):
            same_folded(lm, batch, one(f"0.{point}", op))
    same_folded(lm, batch, one("1.mlp_post", gate))
    same_folded(lm, batch, one("1.mlp_raw", Project(orthonormal(2, lm.d_model))))
    same_folded(lm, batch, one("1.z", Gate(noise(lm.n_heads * lm.d_head))))
    if lm.anatomy[0].mlp_post_norm is None:
        same_folded(lm, batch, one("1.mlp_out", Project(orthonormal(2, lm.d_model))))
    else:
        with pytest.raises(NotFoldable, match="norm stands between"):
            one("1.mlp_out", Project(orthonormal(2, lm.d_model))).fold(lm)


def test_scaling_a_key_scales_its_row_and_no_other(lm, batch):
    if why_not(lm, "3") == EXPERTS:
        return
    for which in ("gate", "up") if lm.gated else (None,):
        point = {None: "mlp_pre", "gate": "mlp_gate", "up": "mlp_up"}[which]
        site = Site(1, point)
        before = lm.capture(batch, [site])[site]
        edit = ScaleKeys(((1, 5),), 10.0, scale_bias=True, which=which).edit(lm)
        with edit.applied_to(lm):
            after = lm.capture(batch, [site])[site]
            if lm.gated:
                other = Site(1, "mlp_up" if which == "gate" else "mlp_gate")
                changed = lm.capture(batch, [other])[other]
        before[..., 5] *= 10
        torch.testing.assert_close(after, before, **TIGHT)
        if lm.gated:
            assert torch.equal(changed, lm.capture(batch, [other])[other])


@pytest.mark.parametrize("name", zoo.DECODERS)
def test_an_export_keeps_the_sources_dtype_and_loads_as_what_was_edited(name, tmp_path):
    model, tokenizer = zoo.hf_model(name)
    source, out = tmp_path / "source", tmp_path / "out"
    model.to(torch.bfloat16).save_pretrained(source)
    tokenizer.save_pretrained(source)
    lm = LanguageModel.from_pretrained(source, device="cpu")
    assert (lm.dtype, lm.source_dtype) == (torch.float32, torch.bfloat16)
    edit = one("unembed_in", Project(orthonormal(4, lm.d_model))).then(
        one("1.z", Gate(torch.zeros(lm.n_heads * lm.d_head)))
    )
    exported = export(lm, edit, out, prompts=TEXTS)
    assert exported.dtype == "bfloat16"
    assert exported.untied == (lm.anatomy.tied and lm.anatomy.unembed_proj is None)
    weights, before = load_file(out / "model.safetensors"), load_file(source / "model.safetensors")
    assert {str(w.dtype) for w in weights.values()} == {str(w.dtype) for w in before.values()}
    assert AutoConfig.from_pretrained(out).dtype == torch.bfloat16
    assert set(before) <= set(weights)
