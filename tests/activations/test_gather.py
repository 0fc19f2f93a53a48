"""One compiled pass over many tables gives what indexing their concatenation gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations.gather import gather_rows, gather_widened

ROWS = (3, 0, 5, 1)


@pytest.fixture(params=[np.float16, np.uint16, np.float32])
def tables(request):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 999, (rows, 7)).astype(request.param) for rows in ROWS]


def gathered(tables, places, missing=None):
    out = np.zeros((len(places), 7), tables[0].dtype)
    addresses = np.array([t.ctypes.data for t in tables])
    if missing is not None:
        addresses[missing] = 0
    gather_rows(addresses, np.cumsum(ROWS), np.array(places, dtype=np.int64), out)
    return out


@pytest.mark.parametrize("places", [range(9), [8, 0, 0, 3, 2, 7], [], [4]])
def test_rows_are_those_of_the_tables_end_to_end(tables, places):
    places = list(places)
    np.testing.assert_array_equal(gathered(tables, places), np.concatenate(tables)[places])


@pytest.mark.parametrize("place", [-1, 9, 2**40])
def test_a_row_outside_all_tables_is_not_read(tables, place):
    with pytest.raises(IndexError):
        gathered(tables, [0, place])


def test_a_table_that_is_not_at_hand_is_not_read(tables):
    assert len(gathered(tables, [0, 8], missing=2)) == 2
    with pytest.raises(IndexError):
        gathered(tables, [0, 4], missing=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_half_float_becomes_the_float32_that_it_is(dtype):
    bits = np.arange(2**16, dtype=np.uint16).reshape(-1, 64)
    file = np.concatenate([np.zeros(3, np.uint8), bits.ravel().view(np.uint8)])  # at an odd place
    places = np.random.default_rng(0).permutation(len(bits))
    out = np.empty((len(bits), 64), np.float32)
    gather_widened(
        np.array([file.ctypes.data + 3]),
        np.array([len(bits)]),
        places,
        out,
        brain=dtype == torch.bfloat16,
    )
    wanted = torch.from_numpy(bits[places]).view(dtype).float()
    assert torch.equal(torch.from_numpy(out).isnan(), wanted.isnan())
    whole = ~wanted.isnan().numpy()
    np.testing.assert_array_equal(out.view("u4")[whole], wanted.numpy().view("u4")[whole])
