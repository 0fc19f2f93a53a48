"""Columns are separated exactly as scikit-learn separates each of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from bezoar.errors import DataError
from bezoar.stats import auroc, average_precision, separate_columns

DTYPES = (np.float16, np.float32, np.float64)


def activations(n=700, k=40, seed=0):
    """Like a GELU's: a heavy tail, many small negative values, columns with ties and constants."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.2
    x = rng.normal(0, 2, (n, k)) + y[:, None] * np.linspace(-2, 2, k)
    x = torch.nn.functional.gelu(torch.from_numpy(x)).numpy().astype(np.float16)
    x[:, 0] = 3.0
    x[:, 1] = np.round(x[:, 1])
    x[:, 2] = np.where(rng.random(n) < 0.5, 0.0, -0.0)
    x[:, 3] = rng.choice([-np.inf, -65504, -6e-8, -0.0, 0.0, 6e-8, 65504, np.inf], n)
    x[:, 4] = y
    x[:, 5] = -1.0 * y
    return x, y


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_scores_equal_scikit_learns(dtype):
    x, y = activations()
    x = x.astype(dtype)
    if dtype is not np.float16:
        x[:, 6] = np.random.default_rng(1).random(len(x)) * 1e-9  # less apart than float16 tells
    found = separate_columns(x, y)
    finite = np.nan_to_num(x.astype(np.float64), posinf=1e6, neginf=-1e6)  # scikit-learn refuses ∞
    expected = [roc_auc_score(y, column) for column in finite.T]
    np.testing.assert_allclose(found.auroc, expected, atol=1e-12)
    expected = [average_precision_score(y, column) for column in finite.T]
    np.testing.assert_allclose(found.average_precision, expected, atol=1e-12)
    assert found.auroc[0] == found.auroc[2] == 0.5  # constant; and both zeros are one value
    assert (found.auroc[4], found.auroc[5], found.average_precision[4]) == (1, 0, 1)


def test_bfloat16_bits_are_read_as_the_numbers_they_stand_for():
    x, y = activations()
    tensor = torch.from_numpy(x.astype(np.float32)).bfloat16()
    bits = tensor.view(torch.int16).numpy().view(np.uint16)
    by_bits, by_value = separate_columns(bits, y), separate_columns(tensor.float().numpy(), y)
    np.testing.assert_array_equal(by_bits.auroc, by_value.auroc)
    np.testing.assert_array_equal(by_bits.average_precision, by_value.average_precision)


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_and_blocks_change_nothing(dtype):
    x, y = activations(k=70)
    x = x.astype(dtype)
    whole = separate_columns(x, y)
    parts = separate_columns([x[:1], x[1:300], x[300:300], x[300:]], y, memory=1)
    np.testing.assert_array_equal(whole.auroc, parts.auroc)
    np.testing.assert_array_equal(whole.average_precision, parts.average_precision)


@given(
    hnp.arrays(np.uint16, st.tuples(st.integers(2, 40), st.just(2))),
    st.randoms(use_true_random=False),
)
@settings(max_examples=200, deadline=None)
def test_any_bits_are_a_score_or_are_refused(bits, random):
    x = bits.view(np.float16)
    y = np.array([i % 2 for i in range(len(x))])
    random.shuffle(y)
    if np.isnan(x).any():
        with pytest.raises(DataError, match=f"Column {np.isnan(x).any(axis=0).argmax()} of 2 "):
            separate_columns(x, y)
        return
    found = separate_columns(x, y)
    for column in range(2):
        assert found.auroc[column] == pytest.approx(auroc(x[:, column], y), abs=1e-12)
        expected = average_precision(x[:, column], y)
        assert found.average_precision[column] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_nan_is_refused_wherever_it_is(dtype, sign):
    x, y = activations()
    x = x.astype(dtype)
    x[-1, 37] = np.copysign(np.nan, sign)
    with pytest.raises(DataError, match="Column 37 of 40 holds NaN"):
        separate_columns(x, y)


def test_what_does_not_fit_is_refused():
    x, y = activations()
    with pytest.raises(DataError, match=r"700 rows .* for 699 labels"):
        separate_columns(x, y[1:])
    with pytest.raises(DataError, match="Give arrays"):
        separate_columns([x[:1], x[1:].astype(np.float32)], y)
    with pytest.raises(DataError, match="Give arrays"):
        separate_columns(np.zeros((700, 2), np.int64), y)
    with pytest.raises(DataError, match="All 700 labels are 0"):
        separate_columns(x, np.zeros(700))
