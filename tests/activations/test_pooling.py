from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.activations import pool
from bezoar.activations.pooling import check_pooling
from bezoar.errors import ConfigError

POOLINGS = ("mean", "max", "last", "none")
REFERENCE = {
    "mean": lambda row: row.mean(0, keepdim=True),
    "max": lambda row: row.max(0, keepdim=True).values,
    "last": lambda row: row[-1:],
    "none": lambda row: row,
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.booleans(), st.integers(0, 3))
def test_padding_never_counts_on_either_side(lengths, left, more):
    torch.manual_seed(0)
    width = max(lengths) + more
    values = torch.full((len(lengths), width, 3), 1e4)  # padding that would show
    mask = torch.zeros(len(lengths), width, dtype=torch.bool)
    rows = []
    for i, length in enumerate(lengths):
        where = slice(width - length, width) if left else slice(length)
        rows.append(torch.randn(length, 3) - 2)
        values[i, where], mask[i, where] = rows[-1], True
    for pooling in POOLINGS:
        expected = torch.cat([REFERENCE[pooling](row) for row in rows])
        torch.testing.assert_close(pool(values, mask, pooling), expected, atol=1e-3, rtol=1e-5)


def test_half_precision_is_summed_in_float32():
    values = torch.full((1, 4096, 1), 1.0 + 2**-8).half()
    values[0, 0] = 30_000
    mask = torch.ones(1, 4096, dtype=torch.bool)
    pooled = pool(values, mask, "mean")
    assert pooled.dtype == torch.float32
    assert float(pooled) == pytest.approx(float(values.double().mean()), rel=1e-6)


def test_an_unknown_pooling_is_named():
    with pytest.raises(ConfigError, match="'mean'"):
        check_pooling("means")
