"""Theorems on probes (16, 17)."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.activations import harvest
from bezoar.locate import LDAProbe, LinearProbe, MeanDifferenceProbe
from bezoar.stats import auroc, shuffled_labels
from tests.locate.kit import corpus

KINDS = (LinearProbe, MeanDifferenceProbe, LDAProbe)


def planted(n: int = 400, d: int = 24, gap: float = 6.0, seed: int = 0):
    """Two clouds a gap apart along one direction; returns rows, labels and that direction."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(d)
    w /= np.linalg.norm(w)
    y = np.arange(n) % 2
    x = rng.standard_normal((n, d))
    x -= (x @ w)[:, None] * w  # nothing but the class decides the position along w
    return x + gap * (y - 0.5)[:, None] * w + 3.0, y, w


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_16_features_do_not_depend_on_the_padding(lm, pooling):
    texts = corpus(24, 0).texts + (" man", " the people know " * 12)
    site = "1.resid_post"
    alone = harvest(lm, texts, [site], pooling=pooling, budget_tokens=1).rows(site)
    padded = harvest(lm, texts, [site], pooling=pooling, budget_tokens=100_000).rows(site)
    assert alone == pytest.approx(padded, abs=1e-4)
    y = np.arange(len(texts)) % 2
    probe = LinearProbe(l2=0.1).fit(alone, y)
    assert probe.decision_function(alone) == pytest.approx(
        probe.decision_function(padded), abs=1e-2
    )


@pytest.mark.parametrize("kind", KINDS)
def test_17_separable_data_give_an_auroc_of_one_and_the_planted_direction(kind):
    x, y, w = planted()
    probe = kind(site="0.resid_post").fit(x[:200], y[:200])
    assert auroc(probe.decision_function(x[200:]), y[200:]) == 1
    found = probe.direction().vector.numpy()
    assert found @ w > 0.95  # towards the behaviour, not away from it


@pytest.mark.parametrize("kind", KINDS)
def test_17_shuffled_labels_give_a_half(kind):
    x, y, _ = planted(n=1200)
    for labels in shuffled_labels(y, 5, seed=1):
        probe = kind().fit(x[:600], labels[:600])
        for decisions, truth in (
            (probe.decision_function(x[600:]), labels[600:]),
            (probe.held_out_, labels[:600]),
        ):
            m, n = truth.sum(), (1 - truth).sum()
            standard_error = np.sqrt((m + n + 1) / (12 * m * n))
            assert abs(auroc(decisions, truth) - 0.5) < 4 * standard_error
