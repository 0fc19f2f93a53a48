"""Theorems on the spectral edit of the unembedding: items 33 to 43, tied and untied heads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bezoar.edits import Project
from bezoar.locate import decompose, reconstruction, unembedding_of
from bezoar.mitigate import EigenShift, FitInputs
from bezoar.mitigate.eigenshift import direction_scores, eigen_edit, top_directions
from tests.edits.kit import batch, logits, noise
from tests.mitigate.eigen import edited, mirrored, random_states, states_along, states_between


def shifted(weight, parts, chosen, alpha):
    """W' by the definition: U Σ' Vᵀ put together again, in float64."""
    u, s, vt = torch.linalg.svd(weight.double(), full_matrices=False)
    torch.testing.assert_close(s, parts.singular_values, rtol=1e-7, atol=1e-9)
    s = s.clone()
    s[chosen] *= alpha
    return u @ torch.diag(s) @ vt


def closed(weight, parts, chosen, alpha):
    """W (I − (1 − α) P)."""
    v = parts.directions[chosen]
    wide = weight.double()
    return wide - (1 - alpha) * (wide @ v.T) @ v


def some(lm, k=5):
    parts = unembedding_of(lm)
    return parts, torch.randperm(len(parts), generator=torch.Generator().manual_seed(1))[:k]


def test_33_alpha_one_changes_nothing(lm):
    parts, chosen = some(lm)
    weight = lm.W_U.detach()
    off = closed(weight, parts, chosen, 1.0) - weight.double()
    assert float(off.norm()) <= 1e-10 * parts.norm
    before = logits(lm)
    with edited(lm, alpha=1.0).applied_to(lm):
        assert torch.equal(logits(lm), before)


@pytest.mark.parametrize("alpha", [0.9, 0.0, -1.0, -2.0])
def test_34_closed_form_is_the_definition_and_hook_form_is_weight_form(lm, alpha):
    parts, chosen = some(lm)
    weight = lm.W_U.detach()
    torch.testing.assert_close(
        closed(weight, parts, chosen, alpha),
        shifted(weight, parts, chosen, alpha),
        atol=1e-9,
        rtol=1e-9,
    )
    edit = edited(lm, alpha=alpha)
    before = logits(lm)
    with edit.applied_to(lm):
        hooked = logits(lm)
    with edit.fold(lm).applied_to(lm):
        folded = logits(lm)
        op = edit.ops[0].op
        new = weight - op.fraction * (weight @ op.basis.T) @ op.basis
        torch.testing.assert_close(lm.W_U.detach(), new, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(hooked, folded, atol=1e-4, rtol=1e-4)
    assert float((hooked - before).abs().max()) > 1e-3


def test_35_frobenius_norms_are_those_of_the_singular_values(lm):
    parts, chosen = some(lm)
    weight = lm.W_U.detach()
    for alpha in (0.9, 0.0, -2.0):
        change = float((closed(weight, parts, chosen, alpha) - weight).norm())
        expected = abs(1 - alpha) * float(parts.singular_values[chosen].norm())
        assert change == pytest.approx(expected, rel=1e-8)
    for k in (0, 3, len(parts)):
        kept = closed(weight, parts, torch.arange(k, len(parts)), 0.0)
        assert float((weight - kept).norm()) == pytest.approx(
            parts.truncation_error(k), rel=1e-8, abs=1e-10
        )
    whole = reconstruction(lm, parts)
    assert whole.error <= 1e-12 * parts.norm
    assert whole.relative <= 1e-12
    assert whole.sigma < 1e-9
    assert reconstruction(lm, parts, dtype="float32").relative < 1e-6


def test_36_alpha_zero_removes_the_directions(lm):
    parts, chosen = some(lm)
    weight = lm.W_U.detach()
    new = closed(weight, parts, chosen, 0.0)
    assert float((new @ parts.directions[chosen].T).abs().max()) < 1e-10
    assert int(torch.linalg.matrix_rank(new)) == parts.rank - len(chosen)
    with edited(lm, alpha=0.0, k=lm.d_model).applied_to(lm):
        flat = logits(lm)
    bias = lm.b_U
    expected = torch.zeros_like(flat) if bias is None else bias.expand_as(flat)
    torch.testing.assert_close(flat, expected, atol=1e-4, rtol=0)


def test_36_logits_do_not_read_what_was_removed(lm):
    parts, chosen = some(lm)
    edit = eigen_edit(parts, chosen, 0.0)
    b = batch(lm)
    with edit.applied_to(lm):
        before = lm.logits(b)[b.mask]
    push = (noise(len(chosen), seed=3) @ parts.directions[chosen].float())[None]
    module = lm.anatomy.unembed_reader
    hook = module.register_forward_pre_hook(lambda _, args: (args[0] + push,), prepend=True)
    with edit.applied_to(lm):
        torch.testing.assert_close(lm.logits(b)[b.mask], before, atol=1e-5, rtol=1e-5)
    pushed = lm.logits(b)[b.mask]
    hook.remove()
    assert not torch.allclose(pushed, logits(lm), atol=1e-2)


def test_37_a_reflection_keeps_the_gram_matrix_and_undoes_itself(lm):
    parts, chosen = some(lm)
    weight = lm.W_U.detach().double()
    turned = closed(weight, parts, chosen, -1.0)
    torch.testing.assert_close(turned.T @ turned, weight.T @ weight, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(closed(turned, parts, chosen, -1.0), weight, atol=1e-9, rtol=1e-9)
    for alpha in (0.5, -2.0, 3.0):
        there = closed(weight, parts, chosen, alpha)
        back = closed(there, parts, chosen, 1 / alpha)
        torch.testing.assert_close(back, weight, atol=1e-9, rtol=1e-9)
    before = logits(lm)
    once = edited(lm, alpha=-1.0)
    with once.applied_to(lm), once.applied_to(lm):
        torch.testing.assert_close(logits(lm), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("alpha", [0.5, 0.0, -2.0])
def test_38_singular_values_of_the_edited_model(lm, alpha):
    edit = edited(lm, alpha=alpha, k=7)
    parts = unembedding_of(lm)
    basis = edit.ops[0].op.basis.double()
    kept = parts.directions @ basis.T
    chosen = kept.square().sum(dim=1) > 0.5
    assert int(chosen.sum()) == 7
    expected = parts.singular_values.clone()
    expected[chosen] *= abs(alpha)
    with edit.fold(lm).applied_to(lm):
        seen = decompose(lm, how="qr").singular_values
    expected = expected.sort(descending=True).values
    torch.testing.assert_close(seen, expected, atol=1e-5 * float(expected[0]), rtol=1e-5)


def test_39_scores_are_coordinates_of_the_difference(lm):
    parts = unembedding_of(lm)
    states = random_states(lm)
    delta = direction_scores(parts, states.difference, "signed")
    expected = parts.directions @ (states.toxic.double().mean(0) - states.other.double().mean(0))
    torch.testing.assert_close(delta, expected, atol=1e-6, rtol=1e-5)
    assert float(delta.norm()) == pytest.approx(float(states.difference.norm()), rel=1e-6)
    swapped = states_between(states.other, states.toxic)
    torch.testing.assert_close(direction_scores(parts, swapped.difference, "signed"), -delta)
    same = states_between(states.toxic, states.toxic)
    assert not direction_scores(parts, same.difference, "signed").any()


def test_39_the_default_selection_does_not_know_signs_and_a_signed_one_does(lm):
    parts = unembedding_of(lm)
    other = mirrored(parts)
    difference = random_states(lm).difference
    for score in ("abs", "squared", "sigma"):
        ours, theirs = (direction_scores(p, difference, score) for p in (parts, other))
        assert torch.equal(top_directions(ours, 6), top_directions(theirs, 6)), score
    for mode in ("paper", "code"):
        ours, theirs = (direction_scores(p, difference, mode=mode) for p in (parts, other))
        assert not torch.equal(top_directions(ours, 6, mode), top_directions(theirs, 6, mode))
    signed = [EigenShift(score="signed", k=6).choose(p, random_states(lm)) for p in (parts, other)]
    assert not torch.equal(*signed)


def test_40_a_planted_direction_comes_first_and_the_published_product_misses_it(lm):
    parts = unembedding_of(lm)
    ranks = {"correct": [], "paper": [], "code": []}
    for j in range(len(parts)):
        states = states_along(3 * parts.directions[j])
        for mode, found in ranks.items():
            method = EigenShift(mode=mode, k=len(parts))
            scores = direction_scores(parts, states.difference, method.score, mode)
            found.append(scores.argsort(descending=True).tolist().index(j))
    assert set(ranks["correct"]) == {0}
    assert set(ranks["paper"]) == {0}
    assert np.mean(ranks["code"]) > len(parts) / 4  # a half of it is chance


@pytest.mark.parametrize("d", [32, 768, 4096])
def test_41_exactly_k_directions_are_chosen(d):
    scores = noise(d, seed=4).double()
    for k in (0, 1, d // 2, d // 2 + 1, d - 1, d):
        chosen = top_directions(scores, k)
        assert len(set(chosen.tolist())) == len(chosen) == k
        published = top_directions(scores, k, "code")
        assert len(published) == min(k, d - k)
    assert torch.equal(top_directions(scores, d // 4), top_directions(scores, d // 4, "code"))


def test_41_percentiles_are_those_of_the_paper():
    published = {99.9: 5, 99.5: 21, 99.4: 25, 99.0: 41, 95.0: 205, 90.0: 410, 75.0: 1024}
    for q, k in published.items():
        assert EigenShift(percentile=q).size(4096) == k == math.ceil(4096 * (1 - q / 100) - 1e-9)
    assert EigenShift(percentile=95.0).size(200) == 10
    assert (EigenShift(percentile=100.0).size(64), EigenShift(percentile=0.0).size(64)) == (0, 64)
    assert EigenShift(k=3, percentile=0.0).size(64) == 3


def test_42_the_input_embedding_of_a_tied_head_is_untouched(gpt2):
    lm = gpt2
    assert lm.anatomy.tied
    edit = edited(lm, alpha=-1.0)
    b = batch(lm)
    before, head = lm.capture(b, ["embed"]), lm.W_U.detach().clone()
    for form in (edit, edit.fold(lm)):
        with form.applied_to(lm):
            assert torch.equal(lm.capture(b, ["embed"])[lm.site("embed")], before[lm.site("embed")])
            assert torch.equal(lm.anatomy.embed.weight, head)
    with edit.fold(lm).applied_to(lm):
        assert not torch.equal(lm.W_U, head)
    assert torch.equal(lm.W_U, head)


def test_43_a_token_that_leads_by_more_than_the_bound_stays(lm):
    parts = unembedding_of(lm)
    chosen = torch.arange(len(parts) - 6, len(parts))  # small ones: the bound bites both ways
    b = batch(lm)
    states = lm.capture(b, ["unembed_in"])[lm.site("unembed_in")][b.mask]
    before = logits(lm)
    top = before.topk(2, dim=-1)
    gap = top.values[:, 0] - top.values[:, 1]
    checked = 0
    for alpha in np.linspace(0.999, 0.0, 8):
        bound = 2 * (1 - alpha) * float(parts.singular_values[chosen].max()) * states.norm(dim=-1)
        safe = gap > bound
        with eigen_edit(parts, chosen, float(alpha)).applied_to(lm):
            after = logits(lm).argmax(dim=-1)
        assert torch.equal(after[safe], top.indices[safe, 0])
        checked += int(safe.sum())
    assert checked > 10


def test_the_edit_is_one_projection_at_the_unembeddings_input(lm):
    edit = EigenShift(alpha=0.25, k=4).fit(lm, FitInputs(states=random_states(lm)))
    (at,) = edit.ops
    assert str(at.site) == "unembed_in"
    assert isinstance(at.op, Project)
    assert at.op.fraction == 0.75
    assert set(edit.fold(lm).deltas) == {lm.parameter_name(lm.anatomy.unembed_reader)}
