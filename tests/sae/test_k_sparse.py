"""Probes of k latents: planted ones are found, and the intervals are those of the readers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from bezoar.errors import ConfigError, DataError
from bezoar.sae.k_sparse import k_sparse, rank_latents
from bezoar.stats import auroc_interval


def planted(n: int, seed: int, d: int = 40):
    """Sparse latents; number 7 tells the label nearly, 11 the contrary, 20 half of it."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.exponential(size=(n, d)) * (rng.random((n, d)) < 0.3)
    x[:, 7] = np.maximum(0, 2 * y + 0.4 * rng.normal(size=n))
    x[:, 11] = np.maximum(0, 1.2 * (1 - y) + 0.5 * rng.normal(size=n))
    x[:, 20] = np.maximum(0, 0.7 * y + 0.6 * rng.normal(size=n))
    return csr_array(x.astype(np.float32)), y


def test_planted_latents_come_first_in_their_order():
    x, y = planted(400, 0)
    assert rank_latents(x, y)[:3].tolist() == [7, 11, 20]


def test_the_ranking_is_by_difference_over_deviation_within_classes():
    x, y = planted(300, 1)
    dense = x.toarray().astype(np.float64)
    within = np.sqrt(y.mean() * dense[y == 1].var(0) + (1 - y.mean()) * dense[y == 0].var(0))
    strength = np.abs(dense[y == 1].mean(0) - dense[y == 0].mean(0)) / within
    assert rank_latents(x, y).tolist() == np.argsort(-strength).tolist()


def test_one_latent_has_its_own_auroc_and_more_latents_do_better():
    (x, y), (z, w) = planted(400, 0), planted(300, 5)
    found = k_sparse(x, y, z, w)
    assert [one.k for one in found] == [1, 2, 5, 16]
    single = auroc_interval(z.toarray()[:, 7], w)
    assert found[0].auroc == single
    assert found[0].latents == (7,)
    assert found[1].auroc.value > found[0].auroc.value
    assert found[1].latents == (7, 11)
    assert all(0.9 < one.cv_auroc <= 1 for one in found)


def test_labels_without_meaning_give_no_cross_validated_auroc_above_chance():
    rng = np.random.default_rng(0)
    x = csr_array((rng.random((200, 300)) * (rng.random((200, 300)) < 0.2)).astype(np.float32))
    y, w = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    told = k_sparse(x, y, x, y, ks=(16,))[0]  # reported on the texts that chose and fitted
    assert told.auroc.value > 0.75
    assert 0.3 < told.cv_auroc < 0.65  # chosen again in every fold
    assert k_sparse(x, y, x, w, ks=(16,))[0].auroc.value < 0.65


def test_a_latent_that_is_the_label_is_told_perfectly():
    y = np.array([0, 1] * 20)
    x = csr_array(np.stack([y, 1 - y, np.zeros(40)], axis=1).astype(np.float32))
    found = k_sparse(x, y, x, y, ks=(1, 9))
    assert found[0].auroc.value == 1
    assert len(found[1].latents) == 3


def test_too_few_rows_to_fold_leave_no_cross_validated_number():
    y = np.array([0, 1])
    x = csr_array(np.eye(2, dtype=np.float32))
    both = csr_array(np.tile(np.eye(2, dtype=np.float32), (4, 1)))
    assert k_sparse(x, y, both, np.tile(y, 4), ks=(1,))[0].cv_auroc is None


def test_wrong_sizes_and_labels_are_refused():
    x, y = planted(60, 0)
    with pytest.raises(ConfigError, match="at least 1"):
        k_sparse(x, y, x, y, ks=(0, 1))
    with pytest.raises(DataError, match="texts of both kinds"):
        k_sparse(x, np.zeros(60), x, y)
    with pytest.raises(DataError, match="60 texts"):
        k_sparse(x, y[:-1], x, y)
    with pytest.raises(DataError, match="40 latents"):
        k_sparse(x, y, x[:, :30], y)
