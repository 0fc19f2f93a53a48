from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bezoar.errors import DataError
from bezoar.stats import (
    benjamini_hochberg,
    holm,
    null_p_value,
    random_directions,
    shuffled_labels,
    sign_flip_p_value,
    sign_flip_p_values,
)

pvalues = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, made monotone.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.02]), [0.04, 0.06, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.6]), [1.0, 1.0])


@settings(max_examples=40, deadline=None)
@given(pvalues)
def test_adjusted_p_values_keep_order_and_never_shrink(p):
    p = np.array(p)
    adjusted = {"holm": holm(p), "bh": benjamini_hochberg(p)}
    for values in adjusted.values():
        assert (values >= p - 1e-15).all()
        assert (values <= 1).all()
        assert (np.diff(values[np.argsort(p, kind="stable")]) >= -1e-15).all()
    assert (adjusted["bh"] <= adjusted["holm"] + 1e-12).all()
    assert (adjusted["holm"] <= np.minimum(1, len(p) * p) + 1e-12).all()  # beats Bonferroni
    np.testing.assert_allclose(adjusted["bh"], stats.false_discovery_control(p), atol=1e-12)


def test_holm_is_closed_under_permutation():
    p = np.random.default_rng(0).random(9)
    order = np.random.default_rng(1).permutation(9)
    np.testing.assert_allclose(holm(p)[order], holm(p[order]))


def test_null_p_value_counts_itself():
    assert null_p_value(3.0, [0.0, 1.0, 2.0]) == 1 / 4
    assert null_p_value(2.0, [0.0, 1.0, 2.0]) == 2 / 4  # a tie counts against the claim
    assert null_p_value(-1.0, [0.0, 1.0, 2.0], "less") == 1 / 4
    assert null_p_value(9.0, np.zeros(39), "two-sided") == pytest.approx(0.05)
    assert null_p_value(1.0, []) == 1.0


def test_null_p_value_is_valid_under_the_null():
    rng = np.random.default_rng(2)
    p = np.array([null_p_value(x[0], x[1:]) for x in rng.normal(size=(2000, 20))])
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.02)
    assert (p <= 0.2).mean() == pytest.approx(0.2, abs=0.03)


def test_sign_flip_agrees_with_scipy_and_with_the_exact_count():
    a, b = np.array([3.0, 5.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0, 4.0])
    # All four differences are positive: 2 of 16 sign patterns are as extreme.
    assert sign_flip_p_value(a, b) == pytest.approx(2 / 16, abs=0.02)
    assert sign_flip_p_value(a, b, alternative="greater") == pytest.approx(1 / 16, abs=0.02)
    assert sign_flip_p_value(b, a, alternative="less") == pytest.approx(1 / 16, abs=0.02)
    rng = np.random.default_rng(3)
    x = rng.normal(size=60) + 0.25
    theirs = stats.permutation_test(
        (x, np.zeros(60)), lambda a, b: (a - b).mean(), permutation_type="samples", rng=4
    ).pvalue
    assert sign_flip_p_value(x, np.zeros(60)) == pytest.approx(theirs, abs=0.015)


def test_sign_flip_by_prompt_does_not_count_samples_as_evidence():
    difference = np.repeat([1.0, 1.0, 1.0, -0.5], 25)
    prompts = np.repeat(np.arange(4), 25)
    assert sign_flip_p_value(difference, np.zeros(100), prompts) > 0.1
    assert sign_flip_p_value(difference, np.zeros(100)) < 0.01


def test_columns_under_the_same_flips_have_the_p_of_each_alone():
    rows = np.random.default_rng(5).normal(size=(12, 7)) + np.linspace(0, 1, 7)
    each = [sign_flip_p_value(column, np.zeros(12), seed=2) for column in rows.T]
    np.testing.assert_allclose(sign_flip_p_values(rows, seed=2), each)


def test_few_rows_find_nothing_however_large_the_differences():
    """Normal noise, 144 columns: none at a false discovery rate of 5 %, from 2 rows to 64."""
    rng = np.random.default_rng(6)
    for n in (2, 4, 8, 16, 64):
        runs = [sign_flip_p_values(rng.normal(size=(n, 144)), draws=2000) for _ in range(10)]
        found = [(benjamini_hochberg(p) <= 0.05).any() for p in runs]
        assert sum(found) <= 2, n
        assert n > 4 or min(p.min() for p in runs) > 1.5 / 2**n


def test_no_difference_has_p_one():
    np.testing.assert_array_equal(sign_flip_p_values(np.zeros((9, 2))), 1.0)
    assert sign_flip_p_value(np.ones(9), np.ones(9)) == 1.0


def test_random_directions_have_the_norm_and_no_favourite():
    rows = random_directions(4000, 16, norm=2.5, seed=1)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 2.5, rtol=1e-5)
    assert np.abs(rows.mean(axis=0)).max() < 0.05
    np.testing.assert_allclose(rows.T @ rows / 4000, 2.5**2 / 16 * np.eye(16), atol=0.03)
    np.testing.assert_array_equal(rows[:10], random_directions(10, 16, norm=2.5, seed=1))


def test_shuffled_labels_keep_their_counts_in_each_stratum():
    labels = np.array([0, 1, 1, 0, 0, 0, 1, 0])
    strata = np.array(["a", "a", "b", "b", "b", "a", "b", "a"])
    drawn = shuffled_labels(labels, 50, seed=1, strata=strata)
    assert drawn.shape == (50, 8)
    for stratum in "ab":
        inside = strata == stratum
        assert (drawn[:, inside].sum(axis=1) == labels[inside].sum()).all()
    assert len({row.tobytes() for row in drawn}) > 10
    assert (shuffled_labels(labels, 50, seed=1).sum(axis=1) == 3).all()


def test_shuffled_labels_are_uniform():
    drawn = shuffled_labels(np.array([1, 0, 0, 0]), 4000, seed=2)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.25, atol=0.03)


@pytest.mark.parametrize("bad", [[0.5, 1.2], [[0.5]], [float("nan")]])
def test_no_p_values_are_refused(bad):
    with pytest.raises(DataError, match="p-values"):
        holm(bad)
