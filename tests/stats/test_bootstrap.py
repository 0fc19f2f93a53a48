"""The bootstrap covers what it should, pairs what it should, and equals a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bezoar.errors import DataError
from bezoar.stats import (
    bootstrap_samples,
    mean_interval,
    paired_difference,
    paired_ratio,
    pooled_null_difference,
)
from bezoar.stats.bootstrap import resample_counts


def test_agrees_with_scipy_percentile_bootstrap():
    x = np.random.default_rng(0).exponential(size=80)
    ours = mean_interval(x)
    theirs = stats.bootstrap((x,), np.mean, method="percentile", rng=1).confidence_interval
    assert ours.value == pytest.approx(x.mean(), abs=1e-12)
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_samples_equal_a_plain_loop_over_the_same_draws():
    x = np.random.default_rng(0).normal(size=7)
    counts = np.concatenate(list(resample_counts(7, 50, seed=3)))
    slow = np.array([np.repeat(x, row.astype(int)).mean() for row in counts])
    fast = bootstrap_samples(lambda c: c @ x / 7, 7, 50, seed=3)
    np.testing.assert_allclose(fast, slow, atol=1e-12)
    assert (counts.sum(axis=1) == 7).all()


def test_remembered_and_streamed_counts_have_the_same_distribution(monkeypatch):
    from bezoar.stats import bootstrap

    remembered = np.concatenate(list(resample_counts(40, 2000, seed=5)))
    monkeypatch.setattr(bootstrap, "_CACHED", 0)
    streamed = np.concatenate(list(resample_counts(40, 2000, seed=5)))
    np.testing.assert_array_equal(remembered, streamed)


def test_coverage_of_the_mean():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(300):
        interval = mean_interval(rng.exponential(size=60), resamples=500, seed=trial)
        hits += interval.low <= 1 <= interval.high
    assert 0.89 <= hits / 300 <= 0.98  # nominal .95; a percentile interval is a little short here


def test_clusters_widen_the_interval_as_they_must():
    """Samples of one prompt that agree carry no more than one sample does."""
    rng = np.random.default_rng(2)
    per_prompt = rng.normal(size=50)
    rows, prompts = np.repeat(per_prompt, 25), np.repeat(np.arange(50), 25)
    clustered, single = mean_interval(rows, prompts), mean_interval(per_prompt)
    assert clustered.low == pytest.approx(single.low, abs=1e-12)
    naive = mean_interval(rows)
    assert (clustered.high - clustered.low) > 4 * (naive.high - naive.low)


def test_cluster_coverage_where_rows_are_dependent():
    rng = np.random.default_rng(3)
    prompts = np.repeat(np.arange(60), 10)
    hits = 0
    for trial in range(200):
        rows = np.repeat(rng.normal(size=60), 10) + 0.3 * rng.normal(size=600)
        interval = mean_interval(rows, prompts, resamples=500, seed=trial)
        hits += interval.low <= 0 <= interval.high
    assert hits / 200 >= 0.89


def test_pairing_removes_what_prompts_share():
    rng = np.random.default_rng(4)
    prompt = rng.normal(size=400)
    a, b = prompt + 0.05 + 0.1 * rng.normal(size=400), prompt + 0.1 * rng.normal(size=400)
    paired = paired_difference(a, b)
    assert paired.excludes_zero
    assert paired.high - paired.low < 0.05 < mean_interval(a).high - mean_interval(a).low


def test_difference_is_antisymmetric_and_shift_invariant():
    rng = np.random.default_rng(5)
    a, b = rng.random(30), rng.random(30)
    forward, backward = paired_difference(a, b), paired_difference(b, a)
    assert forward.value == pytest.approx(-backward.value)
    assert forward.low == pytest.approx(-backward.high)
    shifted = paired_difference(a + 7, b + 7)
    assert shifted.low == pytest.approx(forward.low, abs=1e-9)


def test_no_difference_is_exactly_zero_with_no_width():
    a = np.random.default_rng(6).random(20)
    interval = paired_difference(a, a.copy())
    assert (interval.value, interval.low, interval.high) == (0.0, 0.0, 0.0)


def test_weighted_mean_is_the_mean_of_repeated_rows():
    rng = np.random.default_rng(7)
    values, weights = rng.random(20), rng.integers(1, 5, size=20)
    repeated = mean_interval(np.repeat(values, weights), np.repeat(np.arange(20), weights))
    weighted = mean_interval(values, weights=weights)
    assert weighted.value == pytest.approx(repeated.value)
    assert weighted.low == pytest.approx(repeated.low)


def test_ratio_of_a_multiple_is_known_exactly():
    b = np.random.default_rng(8).random(25) + 0.1
    interval = paired_ratio(1.05 * b, b)
    assert interval.low == pytest.approx(1.05)
    assert interval.high == pytest.approx(1.05)


def test_ratio_refuses_a_denominator_that_can_vanish():
    with pytest.raises(DataError, match="denominator"):
        paired_ratio([1.0, 2.0, 3.0], [0.0, 0.0, 1.0])


@pytest.mark.parametrize("shift", [0.05, 0.1, 0.2, 0.3, 0.4])
def test_a_ratio_is_defined_if_its_denominator_is_positive_beyond_chance(shift):
    """The same resamples decide, so that a ratio and the difference below it never disagree."""
    b = np.random.default_rng(10).normal(size=40)
    b += shift - b.mean()
    if paired_difference(b, np.zeros(40)).low > 0:
        interval = paired_ratio(0.5 * b, b)
        assert (interval.low, interval.high) == (pytest.approx(0.5), pytest.approx(0.5))
    else:
        with pytest.raises(DataError, match="denominator"):
            paired_ratio(0.5 * b, b)


def test_the_few_resamples_without_a_positive_denominator_are_left_out():
    b = np.array([1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    b = np.tile(b, 3)
    sums = bootstrap_samples(lambda counts: counts @ b, len(b))
    assert 0 < (sums <= 0).mean() < 0.025
    assert paired_ratio(2 * b, b).low == pytest.approx(2)


def test_row_order_and_names_of_groups_do_not_matter_to_the_estimate():
    rng = np.random.default_rng(9)
    rows, prompts = rng.random(40), np.repeat([f"p{i}" for i in range(10)], 4)
    by_name = mean_interval(rows, prompts)
    by_number = mean_interval(rows, np.repeat(np.arange(100, 110), 4))
    assert by_name == by_number


def test_pooled_null_counts_both_prompts_and_draws():
    rng = np.random.default_rng(10)
    prompts = rng.normal(size=300)
    draws = prompts + rng.normal(scale=0.3, size=(10, 1)) + 0.05 * rng.normal(size=(10, 300))
    same = pooled_null_difference(prompts + draws.mean() - prompts.mean(), draws)
    assert same.low < 0 < same.high
    assert same.high - same.low > 0.2  # draws differ by .3: more prompts cannot narrow that away
    assert pooled_null_difference(prompts - 5, draws).excludes_zero
    assert pooled_null_difference(prompts, draws).value == pytest.approx(
        prompts.mean() - draws.mean()
    )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mean_interval([1.0, float("nan")]), "NaN"),
        (lambda: mean_interval([1.0]), "at least two"),
        (lambda: mean_interval([1.0, 2.0], [0, 0]), "at least two"),
        (lambda: mean_interval([1.0, 2.0], [0]), "one a row"),
        (lambda: mean_interval([]), "shape"),
        (lambda: mean_interval([1.0, 2.0], weights=[1.0, 0.0]), "positive weight"),
        (lambda: mean_interval([1.0, 2.0], confidence=95.0), "0.95"),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "same rows"),
        (lambda: pooled_null_difference(np.ones(3), np.ones((2, 4))), "same prompts"),
    ],
)
def test_what_cannot_be_resampled_is_refused(call, says):
    with pytest.raises(DataError, match=says):
        call()
