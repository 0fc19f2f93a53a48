"""Parity with scikit-learn, ties included, and the theorems of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from bezoar.errors import DataError
from bezoar.stats import (
    auroc,
    auroc_interval,
    average_precision,
    balanced_accuracy,
    brier,
    calibration_error,
    classification_intervals,
    majority_rate,
    paired_auroc_difference,
    tpr_at_fpr,
)

rows = st.lists(
    st.tuples(st.integers(-6, 6).map(float), st.booleans()), min_size=2, max_size=60
).filter(lambda r: 0 < sum(label for _, label in r) < len(r))


@settings(max_examples=40, deadline=None)
@given(rows)
def test_equal_to_sklearn_with_ties(rows):
    scores, labels = np.array([s for s, _ in rows]), np.array([y for _, y in rows])
    assert auroc(scores, labels) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-9)
    assert average_precision(scores, labels) == pytest.approx(
        metrics.average_precision_score(labels, scores), abs=1e-9
    )
    assert balanced_accuracy(scores, labels, 0.0) == pytest.approx(
        metrics.balanced_accuracy_score(labels, scores >= 0), abs=1e-9
    )
    fpr, tpr, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    for allowed in (0.0, 0.1, 0.5, 1.0):
        assert tpr_at_fpr(scores, labels, allowed) == pytest.approx(tpr[fpr <= allowed].max())


@settings(max_examples=40, deadline=None)
@given(rows)
def test_auroc_of_negated_scores_is_the_complement(rows):
    scores, labels = np.array([s for s, _ in rows]), np.array([y for _, y in rows])
    assert auroc(scores, labels) + auroc(-scores, labels) == pytest.approx(1, abs=1e-12)
    assert auroc(np.exp(scores) * 3 - 1, labels) == pytest.approx(auroc(scores, labels), abs=1e-12)
    assert auroc(np.zeros(len(labels)), labels) == 0.5


def test_probability_scores_equal_sklearn():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    y = rng.random(500) < p
    assert brier(p, y) == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-12)
    assert calibration_error(p, y) < 0.08
    assert calibration_error(p**3, y) > 0.15


def test_calibration_error_by_hand():
    # Bins [0, .5) and [.5, 1]: |mean p − mean y| is .1 on two rows, .3 on two.
    error = calibration_error([0.1, 0.1, 0.8, 0.8], [0, 0, 0, 1], bins=2)
    assert error == pytest.approx(0.5 * 0.1 + 0.5 * 0.3)


def test_delong_by_hand():
    """m = 2 positives (3, 1), n = 2 negatives (2, 0): placements 1, ½ and ½, 1."""
    interval = auroc_interval([3.0, 1.0, 2.0, 0.0], [1, 1, 0, 0])
    variance = 0.125 / 2 + 0.125 / 2
    assert interval.value == 0.75
    assert interval.low == pytest.approx(0.75 - 1.959963984540054 * variance**0.5)


def test_delong_covers_and_agrees_with_the_bootstrap():
    rng = np.random.default_rng(1)
    true = 0.7602499389065233  # Φ(1/√2): unit normals one apart
    hits = 0
    for _ in range(300):
        labels = np.arange(80) < 40
        interval = auroc_interval(labels + rng.normal(size=80), labels)
        hits += interval.low <= true <= interval.high
    assert 0.91 <= hits / 300 <= 0.99


def test_clustered_delong_of_repeated_rows_is_that_of_one_copy():
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 2
    scores = labels + rng.normal(size=60)
    once = auroc_interval(scores, labels, np.arange(60))
    thrice = auroc_interval(np.tile(scores, 3), np.tile(labels, 3), np.tile(np.arange(60), 3))
    assert once == auroc_interval(scores, labels)
    assert thrice.low == pytest.approx(once.low, abs=2e-3)
    assert auroc_interval(np.tile(scores, 3), np.tile(labels, 3)).low > once.low + 0.01


def test_perfect_separation_still_has_a_width_that_shrinks_with_rows():
    few = auroc_interval(np.arange(6.0), [0, 0, 0, 1, 1, 1])
    many = auroc_interval(np.arange(600.0), np.arange(600) >= 300)
    assert few.value == few.high == many.high == 1.0
    assert few.low < 0.75 < 0.98 < many.low < 1
    mirrored = auroc_interval(-np.arange(6.0), [0, 0, 0, 1, 1, 1])
    assert mirrored.high == pytest.approx(1 - few.low, abs=1e-6)


def test_repeats_of_a_perfect_separation_promise_no_more_than_one_copy():
    scores, labels, text = np.arange(12.0), np.arange(12) >= 6, np.arange(12)
    once = auroc_interval(scores, labels)
    again = auroc_interval(np.tile(scores, 9), np.tile(labels, 9), np.tile(text, 9))
    assert again == once
    assert auroc_interval(np.tile(scores, 9), np.tile(labels, 9)).low > once.low + 0.1


def test_a_score_that_never_varies_is_one_half_whatever_is_drawn():
    for labels in ([0, 1], [0, 0, 0, 1], np.arange(900) % 2):
        interval = auroc_interval(np.full(len(labels), 3.2), labels)
        assert (interval.low, interval.value, interval.high) == (0.5, 0.5, 0.5)
    # One that varies among one row only is no longer that: it has a width.
    almost = auroc_interval(np.arange(900) == 5, np.arange(900) % 2)
    assert almost.low < almost.value < almost.high


def test_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(3)
    labels = np.arange(400) % 2
    shared = labels + rng.normal(size=400)
    a, b = shared + 0.1 * rng.normal(size=400), shared + 0.6 * rng.normal(size=400)
    difference = paired_auroc_difference(a, b, labels)
    assert difference.value == pytest.approx(auroc(a, labels) - auroc(b, labels), abs=1e-12)
    assert difference.excludes_zero
    assert auroc_interval(a, labels).low < auroc_interval(b, labels).high
    nothing = paired_auroc_difference(a, 2 * a, labels)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)


def test_bootstrap_weights_reproduce_the_metrics_of_repeated_rows():
    from bezoar.stats.classification import _Curve

    rng = np.random.default_rng(4)
    scores, labels = np.round(rng.normal(size=40), 1), rng.random(40) < 0.5
    counts = rng.multinomial(40, np.full(40, 1 / 40), size=5)
    curve = _Curve.of(scores, labels).weighted(counts.astype(float))
    for row, weights in enumerate(counts):
        x, y = np.repeat(scores, weights), np.repeat(labels, weights)
        assert curve.auroc()[row] == pytest.approx(auroc(x, y), abs=1e-12)
        assert curve.average_precision()[row] == pytest.approx(average_precision(x, y), abs=1e-12)
        assert curve.tpr_at_fpr(0.1)[row] == pytest.approx(tpr_at_fpr(x, y, 0.1), abs=1e-12)
        assert curve.balanced_accuracy(0.3)[row] == pytest.approx(balanced_accuracy(x, y, 0.3))


def test_intervals_hold_their_estimates():
    rng = np.random.default_rng(5)
    labels = rng.random(300) < 0.3
    intervals = classification_intervals(labels + rng.normal(size=300), labels)
    assert set(intervals) == {"auroc", "average_precision", "balanced_accuracy", "tpr_at_fpr"}
    for interval in intervals.values():
        assert interval.low < interval.value < interval.high


def test_majority_rate():
    assert majority_rate([0, 0, 1]) == majority_rate([1, 1, 0]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("scores", "labels", "says"),
    [
        ([0.1, 0.2], [1, 1], "both classes"),
        ([0.1, float("nan")], [0, 1], "NaN"),
        ([0.1, 0.2], [0, 2], "0 or 1"),
        ([0.1], [0, 1], "one of each"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, labels, says):
    with pytest.raises(DataError, match=says):
        auroc(scores, labels)
