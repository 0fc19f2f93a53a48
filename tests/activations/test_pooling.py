from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.activations import pool, pooling
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
    for kind in POOLINGS:
        expected = torch.cat([REFERENCE[kind](row) for row in rows])
        torch.testing.assert_close(pool(values, mask, kind), expected, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("short", [0, 10**9])
def test_rows_go_where_they_are_wanted_run_by_run_or_at_once(monkeypatch, left, short):
    monkeypatch.setattr(pooling, "_SHORT", short)
    torch.manual_seed(0)
    lengths = (40, 40, 39, 7, 40, 1)
    values = torch.randn(len(lengths), 40, 5)
    mask = torch.zeros(len(lengths), 40, dtype=torch.bool)
    for i, length in enumerate(lengths):
        mask[i, slice(40 - length, 40) if left else slice(length)] = True
    for kind in POOLINGS:
        pool_ = pooling.pooler(mask, kind)
        expected = torch.cat([REFERENCE[kind](values[i, m]) for i, m in enumerate(mask)])
        assert pool_.rows == len(expected)
        out = torch.full((pool_.rows + 1, 5), 7.0, dtype=torch.float16)
        into = out[:-1]
        assert pool_(values, into) is into
        torch.testing.assert_close(out[:-1], expected.half(), atol=1e-6, rtol=1e-3)
        assert out[-1].tolist() == [7.0] * 5  # what follows is not touched


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
