"""The algebra of the operations."""

from __future__ import annotations

import pytest
import torch

from bezoar.edits import Add, Affine, Clamp, Conditional, Gate, Project
from bezoar.errors import EditError
from tests.edits.kit import affine_ops, noise, orthonormal, unit

D = 12
X = noise(4, 7, D, seed=9)


@pytest.mark.parametrize("name", affine_ops(D))
def test_the_affine_form_is_the_operation(name):
    op = affine_ops(D)[name]
    form = op.affine()
    matrix = torch.eye(D) if form.scale is None else torch.diag(form.scale)
    if form.left is not None:
        matrix = matrix + form.left @ form.right
    shift = 0 if form.shift is None else form.shift
    torch.testing.assert_close(op.apply(X), X @ matrix.T + shift)


def test_projection_removes_the_subspace_and_is_idempotent():
    basis = orthonormal(3, D)
    once = Project(basis).apply(X)
    assert (once @ basis.T).abs().max() < 1e-6
    torch.testing.assert_close(Project(basis).apply(once), once)
    shifted = Add(-basis[0]).apply(X)
    assert not torch.allclose(Add(-basis[0]).apply(shifted), shifted)


def test_a_basis_that_is_not_orthonormal_is_refused():
    with pytest.raises(EditError, match="not orthonormal"):
        Project(2 * orthonormal(2, D))
    with pytest.raises(EditError, match="not orthonormal"):
        Project(torch.full((1, D), torch.nan))


def test_clamp_bounds_coordinates_and_touches_nothing_else():
    basis = orthonormal(2, D)
    low, high = torch.full((2,), -0.1), torch.full((2,), 0.2)
    y = Clamp(basis, basis, torch.zeros(2), low, high).apply(X)
    coordinates = y @ basis.T
    torch.testing.assert_close(coordinates, (X @ basis.T).clamp(-0.1, 0.2))
    rest = Project(basis)
    torch.testing.assert_close(rest.apply(y), rest.apply(X))


def test_a_rectified_clamp_at_zero_ablates_latents_and_leaves_inactive_ones():
    encoder, decoder, bias = noise(5, D, seed=1), noise(5, D, seed=2), noise(5, seed=3)
    latents = (X @ encoder.T + bias).relu()
    bounds = torch.zeros(5), torch.full((5,), torch.inf)
    ablated = Clamp(encoder, decoder, bias, torch.zeros(5), torch.zeros(5), True).apply(X)
    torch.testing.assert_close(ablated, X - latents @ decoder)
    assert torch.equal(Clamp(encoder, decoder, bias, *bounds, True).apply(X), X)


def test_conditional_acts_on_one_side_of_its_threshold_only():
    probe = unit(D)
    fires = (X @ probe) > 0.3
    for when, where in (("above", fires), ("below", (X @ probe) < 0.3)):
        y = Conditional(probe, 0.3, Gate(torch.zeros(D)), when).apply(X)
        assert torch.equal(y[where], torch.zeros_like(y[where]))
        assert torch.equal(y[~where], X[~where])
    assert Conditional(probe, 0.3, Gate(torch.zeros(D))).affine() is None


def test_widths_are_those_of_the_tensors():
    assert {op.width for op in affine_ops(D).values()} == {D}
    with pytest.raises(EditError, match="width"):
        Conditional(unit(D), 0.0, Add(unit(D + 1)))


def test_low_rank_affine_covers_erasure_with_a_mean():
    """LEACE-like: x − P (x − μ) = x + left right x + Pμ."""
    v, mean = unit(D), noise(D, seed=4)
    op = Affine(-v[:, None], v[None], v * (v @ mean))
    torch.testing.assert_close(op.apply(X) @ v, (mean @ v).expand(X.shape[:-1]))
