"""AUROC from ranks is the AUROC of each column, whatever the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.errors import DataError
from bezoar.stats import auroc, separate_columns, shuffled_labels
from bezoar.stats.ranks import auroc_of_ranks, doubled_ranks, sortable_columns
from tests.stats.test_columns import activations


def all_of(values, labellings, **options):
    found = [
        auroc_of_ranks(doubled_ranks(rows), labellings)
        for _, rows in sortable_columns(values, **options)
    ]
    return np.concatenate(found)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_labelling_gets_the_auroc_of_the_counted_columns_to_the_last_bit(dtype):
    x, y = activations()
    labellings = np.stack([y, *shuffled_labels(y, 5)])
    found = all_of(x.astype(dtype), labellings)
    for draw, labels in enumerate(labellings):
        np.testing.assert_array_equal(found[:, draw], separate_columns(x, labels).auroc)
    assert found[9, 2] == pytest.approx(auroc(x[:, 9].astype(float), labellings[2]))
    assert (found[[0, 2]] == 0.5).all()  # a constant column; and both zeros are one value


def test_bits_of_bfloat16_and_parts_and_blocks_are_read_alike():
    x, y = activations()
    tensor = torch.from_numpy(x.astype(np.float32)).bfloat16()
    bits = tensor.view(torch.int16).numpy().view(np.uint16)
    expected = all_of(tensor.float().numpy(), y[None])
    np.testing.assert_array_equal(all_of(bits, y[None]), expected)
    np.testing.assert_array_equal(all_of([bits[:300], bits[300:]], y[None], memory=1), expected)


def test_ranks_of_long_columns_stay_exact():
    n = 6_000
    y = np.arange(n) % 2
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float16)
    found = all_of(x, y[None])[:, 0]
    np.testing.assert_array_equal(found, separate_columns(x, y).auroc)


def test_ties_share_the_mean_of_their_ranks():
    ranks = doubled_ranks(np.array([[5, 1, 5, 9], [7, 7, 7, 7]], np.uint16))
    assert ranks.tolist() == [[5, 2, 5, 8], [5, 5, 5, 5]]


def test_what_cannot_be_ranked_is_refused():
    x, y = activations()
    x[3, 11] = np.nan
    with pytest.raises(DataError, match="Column 11 of 40 holds NaN"):
        all_of(x, y[None])
    with pytest.raises(DataError, match="both classes"):
        auroc_of_ranks(doubled_ranks(np.zeros((2, 4))), np.ones((1, 4)))
    with pytest.raises(DataError, match=r"\(1, 3\) for 4 ranks"):
        auroc_of_ranks(doubled_ranks(np.zeros((2, 4))), np.array([[0, 1, 1]]))
