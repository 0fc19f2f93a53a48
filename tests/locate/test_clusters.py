"""Two clusters: planted ones are found, a cut of one number is exact, one point is one cluster."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from bezoar.errors import ConfigError
from bezoar.locate.clusters import halved, hierarchical, k_means, silhouettes

RNG = np.random.default_rng(0)
SIDE = np.arange(60) % 3 == 0
ROWS = (RNG.standard_normal((60, 5)) + 9 * SIDE[:, None]).astype(np.float32)


@pytest.mark.parametrize(
    "cluster",
    [
        k_means,
        hierarchical,
        lambda rows: hierarchical(rows, "average"),
        lambda rows: hierarchical(rows, "complete", most=20),
    ],
)
def test_planted_clusters_are_found_and_a_new_row_goes_to_the_nearer(cluster) -> None:
    found = cluster(ROWS)
    assert found.centres.shape == (2, 5)
    assigned = found.assign(ROWS)
    assert {(a, s) for a, s in zip(assigned.tolist(), SIDE.tolist(), strict=True)} in (
        {(0, False), (1, True)},
        {(1, False), (0, True)},
    )
    new = np.stack([ROWS[~SIDE].mean(0) + 1, ROWS[SIDE].mean(0) - 1])
    nearest = ((new[:, None] - found.centres) ** 2).sum(-1).argmin(1)
    assert found.assign(new).tolist() == nearest.tolist()
    assert len(set(nearest.tolist())) == 2


@pytest.mark.parametrize("cluster", [k_means, hierarchical])
def test_rows_that_differ_by_rounding_only_are_one_cluster(cluster) -> None:
    rows = np.full((30, 4), 0.3, np.float32) * (1 + 1e-7 * RNG.standard_normal((30, 4)))
    found = cluster(rows.astype(np.float32))
    assert found.assign(rows.astype(np.float32)).tolist() == [0] * 30


def test_equal_seeds_give_equal_clusters() -> None:
    rows = RNG.standard_normal((200, 3))
    np.testing.assert_array_equal(k_means(rows, 3).centres, k_means(rows, 3).centres)


def test_no_cut_of_one_number_has_less_spread() -> None:
    columns = np.stack([RNG.standard_normal(12), RNG.integers(0, 3, 12), RNG.random(12) ** 4], 1)

    def spread(x: np.ndarray, above: np.ndarray) -> float:
        return sum(((part - part.mean()) ** 2).sum() for part in (x[above], x[~above]))

    for x, cut in zip(columns.T, halved(columns), strict=True):
        best = min(
            spread(x, x > (low + high) / 2)
            for low, high in itertools.pairwise(np.unique(x).tolist())
        )
        assert spread(x, x > cut) == pytest.approx(best)


def test_a_constant_column_is_not_cut() -> None:
    constant = np.full((9, 1), 2.5)
    assert not (constant > halved(constant)).any()


def test_silhouettes_are_those_of_scikit_learn_and_none_of_one_cluster() -> None:
    names = SIDE.astype(np.int64)
    assert np.mean(silhouettes(ROWS, names)) == pytest.approx(silhouette_score(ROWS, names))
    sampled = silhouettes(ROWS, names, most=20)
    assert np.isfinite(sampled).sum() == 20
    assert np.isnan(silhouettes(ROWS, np.zeros(60, np.int64))).all()


@pytest.mark.usefixtures("_unhooked")
def test_an_unknown_linkage_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="wart") as caught:
        hierarchical(ROWS, "wart")  # type: ignore[arg-type]
    assert "ward" in str(caught.value.hint)
