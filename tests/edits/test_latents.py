"""Steering by latents: what is changed, what is kept, and what is saved of it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.edits import ActivationEdit, Composed, SteerLatents, load_edit, self_test
from bezoar.errors import EditError, NotFoldable, SiteError
from bezoar.models import Decoding, Site, generate
from tests.edits.kit import PROMPTS, logits, noise, one

D, N = 12, 20
X = noise(4, 7, D, seed=9)


def steer(k: int = 3, d: int = D, active: int = 0, **changed) -> SteerLatents:
    """The first k of N latents with ReLU (or TopK), ablated."""
    n = N if active else k
    parts = {
        "encoder": noise(N, d, seed=1)[:n],
        "bias": noise(N, seed=2)[:n],
        "decoder": noise(N, d, seed=3)[:k],
        "threshold": torch.zeros(k),
        "gain": torch.ones(k),
        "shift": torch.zeros(k),
        "factor": torch.zeros(k),
        "value": torch.zeros(k),
    }
    return SteerLatents(**parts | changed, active=active)


def test_relu_latents_are_ablated_scaled_and_clamped():
    f = (X @ noise(N, D, seed=1).T + noise(N, seed=2)).relu()[..., :3]
    op = steer()
    torch.testing.assert_close(op.latents(X), f)
    torch.testing.assert_close(op.apply(X), X - f @ op.decoder)
    scaled = dataclasses.replace(op, factor=torch.tensor([2.0, -1.0, 0.5]))
    change = f * torch.tensor([1.0, -2.0, -0.5])
    torch.testing.assert_close(scaled.apply(X), X + change @ op.decoder)
    clamped = dataclasses.replace(op, value=torch.tensor([0.0, 3.0, -1.0]))
    torch.testing.assert_close(clamped.apply(X), X + (clamped.value - f) @ op.decoder)


def test_a_factor_of_one_is_the_identity_bit_for_bit():
    assert torch.equal(steer(factor=torch.ones(3)).apply(X), X)


@pytest.mark.parametrize("active", [1, 4, N])
def test_only_the_largest_of_all_latents_are_active_where_they_compete(active):
    pre = X @ noise(N, D, seed=1).T + noise(N, seed=2)
    best = torch.zeros_like(pre).scatter(-1, (top := pre.topk(active)).indices, top.values.relu())
    op = steer(5, active=active)
    torch.testing.assert_close(op.latents(X), best[..., :5])
    assert op.encoder.shape == (N, D)


def test_latents_with_a_threshold_jump():
    pre = X @ noise(N, D, seed=1)[:3].T + noise(N, seed=2)[:3]
    at = torch.tensor([0.5, 1.0, 0.0])
    torch.testing.assert_close(steer(threshold=at).latents(X), pre * (pre > at))


def test_gated_latents_open_by_one_number_and_measure_by_another():
    rows, bias, r, magnitude = noise(3, D, seed=4), noise(3, seed=5), noise(3), noise(3, seed=7)
    opens = (X @ rows.T + bias) > 0
    expected = opens * (X @ rows.T * r.exp() + magnitude).relu()
    op = steer(encoder=rows, bias=bias, gain=r.exp(), shift=magnitude - r.exp() * bias)
    torch.testing.assert_close(op.latents(X), expected)


def test_sizes_that_do_not_belong_together_are_refused():
    with pytest.raises(EditError, match="5 latents are steered by the encoder of 3"):
        steer(3, decoder=noise(5, D), **{n: torch.zeros(5) for n in _PER_LATENT})
    with pytest.raises(EditError, match="3 latents are steered by the encoder of 20"):
        steer(3, encoder=noise(N, D), bias=noise(N))
    with pytest.raises(EditError, match="21 of 20"):
        steer(3, active=21)
    with pytest.raises(EditError, match="2 numbers were given for 3"):
        steer(3, ids=(1, 2))


_PER_LATENT = ("threshold", "gain", "shift", "factor", "value")


@pytest.mark.parametrize("active", [0, 4])
@pytest.mark.parametrize("positions", ["all", "last"])
def test_as_an_edit_it_acts_is_undone_and_is_read_back(lm, tmp_path, active, positions):
    op = steer(4, lm.d_model, active, factor=torch.full((4,), -3.0), ids=(7, 1, 19, 4))
    op = dataclasses.replace(op, value=torch.ones(4))  # so that it acts on any text
    edit = one("1.resid_post", op, positions)
    proof = self_test(edit, lm, PROMPTS)
    assert proof.logit_change > 0
    assert proof.restored_exactly
    assert not edit.foldable
    assert "latent-steering at 1.resid_post is not an affine map" in proof.fold_reason
    edit.save(tmp_path / "edit", lm)
    assert {p.name for p in (tmp_path / "edit").iterdir()} == {"edit.json", "edit.safetensors"}
    again = load_edit(tmp_path / "edit", lm, same_model=True)
    assert again.ops[0].op.ids == (7, 1, 19, 4)
    assert again.ops[0].op.active == active
    with edit.applied_to(lm):
        expected = logits(lm)
        said = generate(lm, PROMPTS, Decoding(max_new_tokens=4)).text
    with again.applied_to(lm):
        assert torch.equal(logits(lm), expected)
        assert generate(lm, PROMPTS, Decoding(max_new_tokens=4)).text == said


def test_only_rows_of_the_chosen_latents_are_saved_where_they_do_not_compete(lm, tmp_path):
    small, whole = steer(2, lm.d_model), steer(2, lm.d_model, active=4)
    sizes = []
    for name, op in {"small": small, "whole": whole}.items():
        one("1.resid_post", op).save(tmp_path / name, lm)
        sizes.append((tmp_path / name / "edit.safetensors").stat().st_size)
    assert sizes[0] < 4 * (2 * 2 * lm.d_model + 6 * 2) + 1500 < sizes[1]


def test_it_composes_in_order(lm):
    first = one("1.resid_post", steer(3, lm.d_model))
    second = one("1.resid_post", steer(3, lm.d_model, value=torch.ones(3)))
    with first.then(second).applied_to(lm):
        together = logits(lm)
    with first.applied_to(lm), second.applied_to(lm):
        torch.testing.assert_close(logits(lm), together)
    with second.then(first).applied_to(lm):
        assert not torch.allclose(logits(lm), together)
    assert isinstance(first.then(second), Composed)
    with pytest.raises(NotFoldable, match="affine"):
        first.then(second).fold(lm)


def test_a_site_of_another_width_or_none_is_refused(lm):
    with pytest.raises(EditError, match=r"latent-steering of width 12 met 1\.resid_post of width"):
        one("1.resid_post", steer()).check(lm)
    with pytest.raises(SiteError):
        ActivationEdit.at([Site(9, "resid_post")], steer(3, lm.d_model)).check(lm)
