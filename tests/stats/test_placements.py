"""Mean AUROCs: one score's is DeLong's, many are their mean, and a difference is paired."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.errors import DataError
from bezoar.stats import (
    Placements,
    auroc,
    auroc_interval,
    auroc_samples,
    paired_auroc_difference,
)

RNG = np.random.default_rng(0)
LABELS = np.array([0, 1, 1, 0, 1] * 20)
SCORES = RNG.standard_normal((100, 7)) + 0.4 * LABELS[:, None] * np.arange(7)
GROUPS = [i // 3 for i in range(100)]


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_the_mean_of_one_score_is_its_auroc_with_the_interval_of_delong(groups) -> None:
    found = Placements.of(SCORES[:, :1], LABELS, groups).interval()
    wanted = auroc_interval(SCORES[:, 0], LABELS, groups)
    assert (found.value, found.low, found.high) == pytest.approx(
        (wanted.value, wanted.low, wanted.high)
    )


def test_the_mean_of_many_is_the_mean_of_their_aurocs_signs_included() -> None:
    alone = np.array([auroc(column, LABELS) for column in SCORES.T])
    signs = np.where(np.arange(7) % 2, -1.0, 1.0)
    assert Placements.of(SCORES, LABELS).auroc == pytest.approx(alone.mean())
    turned = np.where(signs < 0, 1 - alone, alone)
    assert Placements.of(SCORES, LABELS, signs=signs).auroc == pytest.approx(turned.mean())


def test_a_difference_is_paired_and_that_of_one_score_is_delongs() -> None:
    a, b = (Placements.of(SCORES[:, [k]], LABELS, GROUPS) for k in (6, 2))
    wanted = paired_auroc_difference(SCORES[:, 6], SCORES[:, 2], LABELS, GROUPS)
    found = a.minus(b)
    assert (found.value, found.low, found.high) == pytest.approx(
        (wanted.value, wanted.low, wanted.high)
    )
    nothing = a.minus(a)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)


def test_several_means_are_averaged_alike() -> None:
    both = [Placements.of(SCORES[:, part], LABELS) for part in ([0, 1], [2, 3])]
    assert Placements.mean(both).interval() == Placements.of(SCORES[:, :4], LABELS).interval()


def test_a_perfect_score_has_an_interval_below_one() -> None:
    found = Placements.of(LABELS[:, None].astype(float), LABELS).interval()
    assert found.value == 1
    assert found.low < 1


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        (SCORES[:50], LABELS),
        (SCORES[:, :0], LABELS),
        (SCORES, np.ones(100)),
        (np.where(SCORES > 2, np.nan, SCORES), LABELS),
    ],
)
def test_what_cannot_be_placed_is_refused(scores, labels) -> None:
    with pytest.raises(DataError):
        Placements.of(scores, labels)


def test_samples_of_two_scores_are_of_the_same_resamples() -> None:
    hard = (SCORES[:, 6] > 1).astype(float)
    first, second = (auroc_samples(s, LABELS, resamples=200) for s in (hard, 1 - hard))
    np.testing.assert_allclose(first, 1 - second)
    assert first.std() == pytest.approx(
        (auroc_interval(hard, LABELS).high - auroc_interval(hard, LABELS).value) / 1.96, rel=0.2
    )
    doubled = auroc_samples(
        np.repeat(hard, 2), np.repeat(LABELS, 2), np.repeat(range(100), 2), resamples=200
    )
    np.testing.assert_allclose(doubled, first)
