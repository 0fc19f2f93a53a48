"""Projecting what MLPs write off the subspace in which pairs differ: what must hold exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.edits import ActivationEdit
from bezoar.locate import principal_angles
from bezoar.mitigate.profs import ProFS, _projection, toxic_basis
from bezoar.models import LanguageModel, Site
from tests.edits.kit import logits
from tests.mitigate.remedies import pairs_inputs


def rows(n=40, d=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((n, d)) + 0.5


def projector(basis):
    return basis.double().T @ basis.double()


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("k", [0, 1, 3, 12])
def test_the_projector_is_one(k, center):
    P = projector(toxic_basis(*rows(), k, center=center))
    torch.testing.assert_close(P, P.T)
    torch.testing.assert_close(P @ P, P, atol=1e-5, rtol=0)
    assert float(P.trace()) == pytest.approx(k, abs=1e-5)


@pytest.mark.parametrize("k", [0, 2, 5])
def test_the_values_lose_the_energy_that_lay_in_the_subspace_and_nothing_else(k):
    V = torch.randn(30, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = toxic_basis(*rows(), k, center=False).double()
    edited = V @ (torch.eye(12, dtype=torch.float64) - basis.T @ basis)
    assert float((edited @ basis.T).abs().max() if k else 0) < 1e-5
    lost = V.square().sum() - edited.square().sum()
    torch.testing.assert_close(lost, (V @ basis.T).square().sum(), rtol=1e-5, atol=1e-5)


def test_exchanged_sides_and_another_order_of_pairs_change_no_bit():
    chosen, rejected = rows()
    basis = toxic_basis(chosen, rejected, 3, center=False)
    flip = np.random.default_rng(1).random(len(chosen)) < 0.5
    a, b = (np.where(flip[:, None], y, x) for x, y in ((chosen, rejected), (rejected, chosen)))
    order = np.random.default_rng(2).permutation(len(chosen))
    assert torch.equal(toxic_basis(a, b, 3, center=False), basis)
    assert torch.equal(toxic_basis(chosen[order], rejected[order], 3, center=False), basis)
    assert torch.equal(toxic_basis(a[order], b[order], 3, center=False), basis)
    # Centred, only the direction of the chosen texts may move it; their order may not.
    centred = toxic_basis(chosen, rejected, 3, center=True)
    assert torch.equal(toxic_basis(chosen[order], rejected[order], 3, center=True), centred)
    scaled = toxic_basis(7 * chosen, 7 * rejected, 3, center=False)
    torch.testing.assert_close(projector(scaled), projector(basis), atol=1e-6, rtol=0)


def test_the_fitted_subspace_is_that_of_swapped_pairs_bit_for_bit(lm):
    inputs = pairs_inputs(lm)
    method = ProFS(k=3, center=False)
    found = method.bases(lm, inputs.pairs)
    swapped = method.bases(lm, inputs.pairs.swapped())
    assert found.keys() == swapped.keys()
    assert all(torch.equal(found[layer], swapped[layer]) for layer in found)


def test_what_all_chosen_texts_share_is_left_alone_when_centred():
    chosen, rejected = rows()
    chosen = chosen + 5  # so that the first singular vector is near their mean
    mu = torch.linalg.svd(torch.from_numpy(chosen), full_matrices=False).Vh[0].float()
    assert float((toxic_basis(chosen, rejected, 4, center=True) @ mu).abs().max()) < 1e-5
    assert float((toxic_basis(chosen, rejected, 4, center=False) @ mu).abs().max()) > 1e-2


def test_a_planted_difference_is_found():
    rng = np.random.default_rng(0)
    planted = np.linalg.qr(rng.standard_normal((20, 3)))[0].T
    chosen = rng.standard_normal((50, 20))
    rejected = chosen + rng.standard_normal((50, 3)) @ planted
    found = toxic_basis(chosen, rejected, 3, center=False)
    angles = principal_angles(found, torch.from_numpy(planted).float())
    assert max(angles) < 1e-3


def captured(lm, site):
    batch = lm.batch(lm.encode(["you are a fool and a man", "the tree is good"]))
    return lm.capture(batch, [site])[site][batch.mask]


def one_layer(lm: LanguageModel, k: int, fraction: float = 1.0) -> tuple[ActivationEdit, int]:
    layer = lm.n_layers - 1
    method = ProFS(k=k, fraction=fraction, layers=(layer,))
    return method.fit(lm, pairs_inputs(lm, 40)), layer


@pytest.mark.parametrize("fraction", [1.0, 0.4])
def test_the_mlp_writes_what_it_wrote_without_the_subspace_and_its_bias_as_before(lm, fraction):
    edit, layer = one_layer(lm, 3, fraction)
    site = Site(layer, "mlp_raw")
    before, bias = captured(lm, site), lm.w_out_bias(layer)
    basis = ProFS(k=3, layers=(layer,)).bases(lm, pairs_inputs(lm, 40).pairs)[layer]
    b = torch.zeros(lm.d_model) if bias is None else bias.detach()
    x = before - b
    expected = x - fraction * (x @ basis.T) @ basis + b
    for form in (edit, edit.fold(lm)):
        with form.applied_to(lm):
            torch.testing.assert_close(captured(lm, site), expected, atol=1e-5, rtol=1e-5)
    with edit.then(edit).applied_to(lm):  # (1 − f)² of it is left: at f = 1 as after once
        left = x - (1 - (1 - fraction) ** 2) * (x @ basis.T) @ basis + b
        torch.testing.assert_close(captured(lm, site), left, atol=1e-5, rtol=1e-5)


def test_folded_the_bias_stays_and_the_weights_lose_rank(lm):
    edit, layer = one_layer(lm, 3)
    before = lm.values(layer).detach().clone()
    bias = lm.w_out_bias(layer)
    kept = None if bias is None else bias.detach().clone()
    with edit.fold(lm).applied_to(lm):
        after = lm.values(layer).detach().clone()
        if kept is not None:
            torch.testing.assert_close(lm.w_out_bias(layer).detach(), kept, atol=1e-6, rtol=0)
    rank = min(before.shape)
    assert torch.linalg.matrix_rank(before) == rank
    assert torch.linalg.matrix_rank(after, rtol=1e-4) == rank - 3
    torch.testing.assert_close(lm.values(layer).detach(), before)


def test_nothing_removed_is_the_same_model(lm):
    before = logits(lm)
    for edit in (one_layer(lm, 0)[0], one_layer(lm, 3, 0.0)[0]):
        with edit.applied_to(lm):
            torch.testing.assert_close(logits(lm), before, atol=1e-6, rtol=0)


def test_everything_removed_leaves_the_bias(lm):
    d = lm.d_model
    edit, layer = one_layer(lm, d)
    with edit.fold(lm).applied_to(lm):
        assert float(lm.values(layer).abs().max()) < 1e-5
    bias = lm.w_out_bias(layer)
    with edit.applied_to(lm):
        raw = captured(lm, Site(layer, "mlp_raw"))
    expected = torch.zeros(d) if bias is None else bias.detach()
    torch.testing.assert_close(raw, expected.expand_as(raw), atol=1e-5, rtol=0)


def test_all_but_one_direction_leaves_what_the_chosen_texts_share(lm):
    d = lm.d_model
    method = ProFS(k=d - 1, layers=(-1,))
    inputs = pairs_inputs(lm, 60)
    layer = lm.n_layers - 1
    fitted = method.fit(lm, inputs)
    assert len(method.bases(lm, inputs.pairs)[layer]) == d - 1
    with fitted.fold(lm).applied_to(lm):
        V = lm.values(layer).detach().clone()
    singular = torch.linalg.svdvals(V)
    assert float(singular[1] / singular[0]) < 1e-4  # all that is left lies on one line
    line = torch.linalg.svd(V).Vh[0]
    read = method._sides(inputs.pairs)[0]
    site = Site(layer, "resid_post")
    X = torch.from_numpy(harvest(lm, read, [site], pooling="mean", out=None).rows(site)).double()
    mu = torch.linalg.svd(X, full_matrices=False).Vh[0].float()
    assert abs(float(line @ mu)) == pytest.approx(1, abs=1e-4)


def test_an_affine_map_without_a_bias_is_a_projection():
    basis = torch.eye(6)[:2]
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        _projection(basis, 0.5, None).apply(x), _projection(basis, 0.5, torch.zeros(6)).apply(x)
    )
