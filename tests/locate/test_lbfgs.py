"""Functions minimised side by side reach the minima that they have alone."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.locate.lbfgs import minimise
from bezoar.locate.logistic import PrincipalRows, fit_logistic


def logistic_sums(seed=0, p=6, k=5):
    """k ridge-penalised sums of log-cosh, their Hessians at most the identity; minima not at 0."""
    rng = np.random.default_rng(seed)
    turns = np.linalg.qr(rng.standard_normal((k, p, p)))[0]
    curvatures, centres = rng.uniform(0.05, 0.9, (k, p)), 3 * rng.standard_normal((k, p))
    calls = np.zeros(k, dtype=int)

    def objective(u, columns):
        calls[columns] += 1
        values, gradients = [], []
        for at, c in enumerate(columns):
            z = turns[c] @ (u[:, at] - centres[c])
            values.append((curvatures[c] * np.log(np.cosh(z))).sum() + 0.05 * u[:, at] @ u[:, at])
            gradients.append(turns[c].T @ (curvatures[c] * np.tanh(z)) + 0.1 * u[:, at])
        return np.array(values), np.array(gradients).T

    return objective, calls


def test_every_function_ends_where_its_gradient_vanishes():
    objective, _ = logistic_sums()
    u = minimise(objective, np.zeros((6, 5)), 1e-8, 500)
    assert np.abs(objective(u, np.arange(5))[1]).max() <= 1e-7
    for k in range(5):
        alone = minimise(lambda v, _, k=k: objective(v, np.array([k])), np.zeros((6, 1)), 1e-8, 500)
        np.testing.assert_allclose(u[:, k], alone[:, 0], atol=1e-6)


def test_a_function_that_is_done_is_left_alone():
    objective, calls = logistic_sums()
    solved = minimise(objective, np.zeros((6, 5)), 1e-8, 500)
    start = np.zeros((6, 5))
    start[:, 2] = solved[:, 2]
    calls[:] = 0
    u = minimise(objective, start, 1e-6, 500)
    assert calls[2] == 1 < calls.min(where=np.arange(5) != 2, initial=99)
    np.testing.assert_array_equal(u[:, 2], solved[:, 2])


def test_a_step_that_goes_too_far_is_halved():
    def steep(u, _):
        return 50 * (u**2).sum(axis=0), 100 * u

    u = minimise(steep, np.array([[1.0, -3.0]]), 1e-6, 100)
    assert np.abs(u).max() <= 1e-6


def test_iterations_are_bounded_and_an_optimum_is_returned_as_it_is():
    objective, calls = logistic_sums()
    np.testing.assert_array_equal(minimise(objective, np.ones((6, 5)), 1e-9, 0), np.ones((6, 5)))
    assert calls.tolist() == [1] * 5


@pytest.mark.parametrize("standardise", [True, False])
def test_thousands_of_ill_conditioned_rows_take_few_passes(standardise, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 40)) * np.logspace(0, -3, 40) @ rng.standard_normal((40, 40))
    y = (x[:, 0] / x[:, 0].std() + rng.logistic(size=3000) > 0).astype(int)
    passes = []

    def counted(objective, *rest):
        def one(u, columns):
            passes.append(len(columns))
            return objective(u, columns)

        return minimise(one, *rest)

    monkeypatch.setattr("bezoar.locate.logistic.minimise", counted)
    found = PrincipalRows.of(x + 1000, standardise=standardise, centre=True)
    penalties = np.array([1.0, 1e-2, 1e-4])
    w, b = fit_logistic(found.rows, y[:, None], penalties, found.curvature, found.axes)
    assert len(passes) < 60
    z = found.rows.astype(np.float64) @ w + b
    residual = 1 / (1 + np.exp(-z)) - y[:, None]
    gradient = found.rows.T @ residual / len(y) + penalties * w
    assert np.abs(gradient).max() < 1e-5
    assert np.abs(residual.mean(axis=0)).max() < 1e-5


def test_a_part_of_the_rows_is_fitted_as_if_it_were_all():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 7)).astype(np.float32)
    y = (x[:, 0] + rng.logistic(size=900) > 0).astype(int)[:, None]
    part = rng.permutation(900)[:500]
    rows = PrincipalRows.of(x, standardise=True, centre=True)
    shared = (np.array([0.1, 0.01]), rows.curvature, rows.axes)
    w, b = fit_logistic(rows.rows, y[part], *shared, part=part)
    copied_w, copied_b = fit_logistic(rows.rows[part], y[part], *shared)
    np.testing.assert_allclose(w, copied_w, atol=1e-6)
    np.testing.assert_allclose(b, copied_b, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_standardised_whatever_their_mean(dtype):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((5000, 4)) * [1, 1e-3, 50, 0] + [0, 30, 1e4, 0.1]).astype(dtype)
    found = PrincipalRows.of(x, standardise=True, centre=True)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(found.scale[:3], exact.std(axis=0)[:3], rtol=2e-3)
    assert found.scale[3] == 1
    np.testing.assert_allclose(found.rows, (exact - found.mean) / found.scale, atol=1e-3)
    assert np.abs(found.rows[:, 3]).max() < 1e-6
