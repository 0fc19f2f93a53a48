"""Invariant 50: what holds of clusters that are taken for verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.locate.clusters import hierarchical, k_means
from bezoar.stats import auroc, balanced_accuracy

rows = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=60).map(
    lambda pairs: np.array([*pairs, (True, True), (False, False)], dtype=int).T
)


def matched(verdicts: np.ndarray, labels: np.ndarray) -> float:
    """AUROC of clusters, whichever is called the behaviour."""
    found = auroc(verdicts, labels)
    return max(found, 1 - found)


@given(rows)
def test_the_auroc_of_verdicts_is_their_balanced_accuracy(pair: np.ndarray) -> None:
    verdicts, labels = pair
    assert auroc(verdicts, labels) == pytest.approx(balanced_accuracy(verdicts, labels))


@given(rows)
def test_what_clusters_are_called_changes_nothing(pair: np.ndarray) -> None:
    verdicts, labels = pair
    assert matched(verdicts, labels) == pytest.approx(matched(1 - verdicts, labels))
    assert matched(verdicts, labels) >= 0.5


@pytest.mark.parametrize("cluster", [k_means, hierarchical])
@pytest.mark.parametrize("seed", range(5))
def test_separable_planted_clusters_are_told_apart(cluster, seed) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(80) % 2)
    apart = rng.standard_normal(16)
    planted = rng.standard_normal((80, 16)) + 12 * np.outer(labels, apart / np.linalg.norm(apart))
    assert matched(cluster(planted, seed=seed).assign(planted), labels) == 1
