"""Probes keep scikit-learn's contract, and their decisions mean what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from bezoar.errors import BezoarError, ConfigError, CorruptArtefact
from bezoar.locate import LDAProbe, LinearProbe, MeanDifferenceProbe, load_probe
from bezoar.locate.logistic import PrincipalRows, fit_logistic, platt
from bezoar.stats import calibration_error

KINDS = (LinearProbe, MeanDifferenceProbe, LDAProbe)


def noisy(n: int = 1500, d: int = 12, seed: int = 0, offset: float = 5.0):
    """Rows of unequal scales, labels drawn from a logistic model of them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) * np.logspace(0, 2, d) + offset
    logit = ((x - offset) / np.logspace(0, 2, d)) @ np.linspace(-1, 1, d)
    return x, (rng.random(n) < expit(logit)).astype(int)


@pytest.mark.usefixtures("_unhooked")
@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learns_own_checks_pass(kind):
    check_estimator(kind(), on_skip=None)


@pytest.mark.parametrize("shape", [(300, 20), (40, 90)])  # more rows, more features
@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_the_fit_equals_scikit_learns(shape, penalty):
    x, y = noisy(*shape)
    y[:2] = 0, 1
    probe = LinearProbe(l2=penalty, calibrate=False).fit(x, y)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    reference = LogisticRegression(C=1 / (len(y) * penalty), solver="newton-cholesky", tol=1e-10)
    reference.fit((x - mean) / scale, y)
    expected = reference.decision_function((x - mean) / scale)
    assert probe.decision_function(x) == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert probe.raw_coef_ == pytest.approx(reference.coef_[0] / scale, abs=1e-5)


def test_joint_fits_equal_single_ones():
    x, y = noisy(400)
    labels = np.stack([y, 1 - y, np.roll(y, 7)], axis=1)
    principal = PrincipalRows.of(x, standardise=True, centre=True)
    penalties = np.array([0.3, 0.03, 0.003])
    w, b = fit_logistic(principal.rows, labels, penalties, principal.curvature, principal.axes)
    for k in range(3):
        one_w, one_b = fit_logistic(
            principal.rows, labels[:, [k]], penalties[[k]], principal.curvature, principal.axes
        )
        assert w[:, k] == pytest.approx(one_w[:, 0], abs=1e-4)
        assert b[k] == pytest.approx(one_b[0], abs=1e-4)


def test_the_penalty_is_the_best_of_the_path():
    x, y = noisy(300, d=40)
    probe = LinearProbe(l2_grid=(10.0, 0.1, 1e-5)).fit(x, y)
    assert len(probe.l2_path_) == 3
    assert probe.l2_ == min(probe.l2_path_, key=lambda point: point[1])[0]
    assert probe.l2_ == 0.1  # 40 features of which few matter: neither extreme


def test_decisions_are_of_raw_features_and_calibrated():
    x, y = noisy(4000)
    probe = LinearProbe().fit(x[:2000], y[:2000])
    decisions = x[2000:] @ probe.coef_[0] + probe.intercept_[0]
    assert probe.decision_function(x[2000:]) == pytest.approx(decisions)
    p = probe.predict_proba(x[2000:])
    assert p.sum(axis=1) == pytest.approx(1)
    assert p[:, 1] == pytest.approx(expit(decisions))
    assert calibration_error(p[:, 1], y[2000:]) < 0.05


@pytest.mark.parametrize("kind", [MeanDifferenceProbe, LinearProbe])
def test_calibration_repairs_overconfidence(kind):
    x, y = noisy(400, d=200, seed=3)
    new_x, new_y = noisy(2000, d=200, seed=4)
    settings = {"l2": 1e-4} if kind is LinearProbe else {}
    error = {
        on: calibration_error(
            kind(calibrate=on, **settings).fit(x, y).predict_proba(new_x)[:, 1], new_y
        )
        for on in (True, False)
    }
    assert error[True] < 0.15 < error[False]


def test_platt_flattens_a_useless_score_but_does_not_turn_it_round():
    y = np.array([0, 1] * 50)
    slope, shift = platt(1.0 - 2.0 * y, y)
    assert 0 < slope < 1e-3
    assert expit(shift) == pytest.approx(0.5)


def test_the_threshold_holds_its_false_positive_rate():
    x, y = noisy(8000)
    probe = LinearProbe(max_fpr=0.05).fit(x[:4000], y[:4000])
    negatives = probe.flag(x[4000:])[y[4000:] == 0]
    assert negatives.mean() == pytest.approx(0.05, abs=0.02)
    held_out = probe.held_out_[y[:4000] == 0] > probe.threshold_
    assert held_out.mean() <= 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_without_bias_the_decision_is_linear(kind):
    x, y = noisy(300, offset=0.0)
    probe = kind(fit_intercept=False).fit(x, y)
    assert probe.intercept_[0] == 0
    assert probe.decision_function(-2 * x) == pytest.approx(-2 * probe.decision_function(x))


def test_groups_are_never_parted():
    """Every row twice, under one name: parted, the twin in training gives the label away."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((60, 200)), 2, axis=0)
    y = np.repeat(rng.integers(0, 2, 60), 2)
    groups = np.repeat(np.arange(60), 2).tolist()
    together = LinearProbe(l2=0.01).fit(x, y, groups=groups).held_out_
    parted = LinearProbe(l2=0.01).fit(x, y).held_out_
    assert ((together > 0) == y).mean() < 0.7
    assert ((parted > 0) == y).mean() > 0.8


def test_the_mean_difference_is_its_direction_with_its_norm():
    x, y = noisy()
    direction = MeanDifferenceProbe(site="2.mlp_out").fit(x, y).direction(trained_on="abc")
    expected = x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0)
    assert direction.raw.numpy() == pytest.approx(expected, rel=1e-5)
    assert str(direction.site) == "2.mlp_out"
    assert direction.trained_on == "abc"
    with pytest.raises(ConfigError, match="site"):
        MeanDifferenceProbe().fit(x, y).direction()


def test_a_scale_of_the_features_does_not_turn_the_direction():
    x, y = noisy()
    here = LinearProbe(site="0.resid_post").fit(x, y)
    there = LinearProbe(site="0.resid_post").fit(1000 * x, y)
    assert here.direction().cosine(there.direction()) == pytest.approx(1, abs=1e-6)
    assert there.decision_function(1000 * x) == pytest.approx(here.decision_function(x), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_gives_the_same_decisions(kind, tmp_path):
    x, y = noisy()
    probe = kind(site="1.resid_post", pooling="max", max_fpr=0.02).fit(x, y)
    probe.save(tmp_path)
    other = load_probe(tmp_path)
    assert type(other) is kind
    assert (other.decision_function(x) == probe.decision_function(x)).all()
    assert (other.predict(x) == probe.predict(x)).all()
    assert other.get_params() == probe.get_params()
    assert other.threshold_ == probe.threshold_
    assert other.direction().name == probe.direction().name


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "pickle"},
        {"classes": [0]},
        {"params": {"no_such": 1}},
        {"threshold": "high"},
    ],
)
def test_a_hostile_probe_is_refused(change, tmp_path):
    LinearProbe().fit(*noisy()).save(tmp_path)
    envelope = json.loads((tmp_path / "probe.json").read_text())
    envelope["about"] |= change
    (tmp_path / "probe.json").write_text(json.dumps(envelope))
    with pytest.raises(CorruptArtefact):
        load_probe(tmp_path)


def test_what_cannot_be_fitted_is_an_error_of_ours():
    x, y = noisy()
    for rows, labels in ((x, np.zeros(len(y))), (np.full_like(x, np.nan), y), (x, y[:3])):
        with pytest.raises(BezoarError):
            LinearProbe().fit(rows, labels)
