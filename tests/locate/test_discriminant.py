"""The discriminant is the textbook formula, on whichever side of [n d] it is computed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from bezoar.errors import ConfigError
from bezoar.locate import LDAProbe, LinearProbe, MeanDifferenceProbe
from bezoar.locate.discriminant import ShrunkCovariance


def rows(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features of unequal scales."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3 // 2
    mixed = rng.standard_normal((n, d)) @ (np.eye(d) + 0.3 * rng.standard_normal((d, d)))
    return mixed * np.logspace(-1, 2, d) + 0.5 * y[:, None] * rng.standard_normal(d), y


def textbook(x: np.ndarray, y: np.ndarray, share: float | None) -> tuple[np.ndarray, float]:
    means = np.stack([x[y == k].mean(axis=0) for k in (0, 1)])
    deviations = x - means[y]
    scale = deviations.std(axis=0)
    scaled = deviations / scale
    if share is None:
        shrunk, share = ledoit_wolf(scaled, assume_centered=True)
    else:
        s = scaled.T @ scaled / len(x)
        shrunk = (1 - share) * s + share * np.trace(s) / x.shape[1] * np.eye(x.shape[1])
    return np.linalg.solve(shrunk, (means[1] - means[0]) / scale) / scale, share


@pytest.mark.parametrize("shape", [(90, 12), (30, 70)], ids=["tall", "wide"])
@pytest.mark.parametrize("share", [None, 0.3, 1.0])
def test_weights_are_the_textbooks(shape, share):
    x, y = rows(*shape)
    expected, s = textbook(x, y, share)
    covariance = ShrunkCovariance.within(x, y, share)
    assert covariance.share == pytest.approx(s, rel=1e-6)  # rows are float32
    probe = LDAProbe(shrinkage="auto" if share is None else share, calibrate=False, folds=1)
    close = 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(probe.fit(x, y).raw_coef_, expected, rtol=1e-5, atol=close)


@pytest.mark.parametrize("shape", [(90, 12), (30, 70)], ids=["tall", "wide"])
def test_one_factor_serves_every_labelling(shape):
    """Within-class and total covariance give the same direction (Sherman & Morrison 1950)."""
    x, y = rows(*shape)
    shuffled = np.stack([np.random.default_rng(k).permutation(y) for k in range(3)])
    probe = LDAProbe(calibrate=False, folds=1).fit(x, y)
    got = probe.relabelled(x, y, np.vstack([y, shuffled]))
    cosine = got[0] @ probe.raw_coef_ / np.linalg.norm(got[0]) / np.linalg.norm(probe.raw_coef_)
    assert cosine == pytest.approx(1, abs=1e-9)
    own = ShrunkCovariance.within(x, y, None)
    for labels, w in zip(shuffled, got[1:], strict=True):
        means = np.stack([x[labels == k].mean(axis=0) for k in (0, 1)])
        scaled = (x - means[labels]) / own.scale
        ridge = own.share * own.level * np.eye(x.shape[1])
        shrunk = (1 - own.share) * scaled.T @ scaled / len(x) + ridge
        exact = np.linalg.solve(shrunk, (means[1] - means[0]) / own.scale) / own.scale
        assert w @ exact / np.linalg.norm(w) / np.linalg.norm(exact) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("kind", [LinearProbe, MeanDifferenceProbe])
def test_relabelled_to_its_own_labels_a_probe_is_itself(kind):
    x, y = rows(120, 8)
    probe = kind(calibrate=False).fit(x, y)
    w = probe.relabelled(x, y, y[None])[0]
    cosine = w @ probe.raw_coef_ / np.linalg.norm(w) / np.linalg.norm(probe.raw_coef_)
    assert cosine == pytest.approx(1, abs=1e-4)


def test_no_share_outside_zero_to_one():
    x, y = rows(40, 4)
    with pytest.raises(ConfigError, match=r"shrinkage=1\.5"):
        LDAProbe(shrinkage=1.5).fit(x, y)
