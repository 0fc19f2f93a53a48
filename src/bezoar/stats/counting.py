"""Compiled loops behind `ColumnSeparation`. Imported where first needed: numba is slow to import.

A 16-bit float has 65,536 values. Counting how often each occurs among positives and negatives sorts
a column exactly, ties included, in one pass without a comparison (Mann-Whitney's U from counts).
"""

from __future__ import annotations

from typing import Any, no_type_check

import numba
import numpy as np

_SIGN = 1 << 15
_BLOCK = 64  # values that are skipped together where none occurred
_TILE = 32  # rows and columns turned together: a cache line of 16-bit values


@numba.njit(nogil=True, cache=True)
@no_type_check  # numba compiles the function, not a checked wrapper
def turn(values: Any, rows: Any, first: int, turned: Any, at: int) -> None:
    """Write values[rows, first : first + k] to turned[k, at : at + len(rows)], turned."""
    for i0 in range(0, len(rows), _TILE):
        i1 = min(i0 + _TILE, len(rows))
        for j0 in range(0, len(turned), _TILE):
            for j in range(j0, min(j0 + _TILE, len(turned))):
                for i in range(i0, i1):
                    turned[j, at + i] = values[rows[i], first + j]


@numba.njit(nogil=True, cache=True)
@no_type_check
def separate(bits: Any, negatives: int, infinity: int, auroc: Any, precision: Any) -> int:
    """AUROC and average precision of each row of 16-bit floats, its negatives first.

    Args:
        bits: [k n] as unsigned integers.
        negatives: how many of each row are.
        infinity: the bits of it; larger magnitudes are no numbers.
        auroc, precision: [k], written.

    Returns:
        The first row that holds a NaN, or -1.
    """
    n = bits.shape[1]
    counts = np.zeros((2, 1 << 16), np.int32)
    seen = np.zeros((1 << 16) // _BLOCK, np.bool_)
    for row in range(len(bits)):
        for i in range(negatives):
            counts[0, bits[row, i]] += 1
            seen[bits[row, i] // _BLOCK] = True
        for i in range(negatives, n):
            counts[1, bits[row, i]] += 1
            seen[bits[row, i] // _BLOCK] = True
        true, false, twice, gained = np.int64(0), np.int64(0), np.int64(0), 0.0
        for half in range(2):  # positive values falling to zero, then negative ones from zero on
            for step in range(len(seen) // 2):
                block = len(seen) // 2 + step if half else len(seen) // 2 - 1 - step
                start = block * _BLOCK
                # Both zeros are one value, counted with the negative ones.
                if not seen[block] and start != _SIGN:
                    continue
                seen[block] = False
                if (start & (_SIGN - 1)) + _BLOCK - 1 > infinity:  # NaN would be in here
                    first = max(start, (start & _SIGN) + infinity + 1)
                    if counts[:, first : start + _BLOCK].any():
                        return row
                for i in range(_BLOCK):
                    value = start + i if half else start + _BLOCK - 1 - i
                    if value == 0:
                        continue
                    q, p = np.int64(counts[0, value]), np.int64(counts[1, value])
                    if value == _SIGN:
                        q += counts[0, 0]
                        p += counts[1, 0]
                    twice += q * (2 * true + p)
                    true += p
                    false += q
                    if p > 0:
                        gained += p * (true / (true + false))
                if start > 0:
                    counts[:, start : start + _BLOCK] = 0
        counts[:, :_BLOCK] = 0
        auroc[row] = twice / (2.0 * true * false)
        precision[row] = gained / true
    return -1


@numba.njit(nogil=True, cache=True)
@no_type_check
def separate_sorted(values: Any, positive: Any) -> Any:
    """AUROC and average precision of values that rise, and which of them are positive."""
    true, false, twice, gained = np.int64(0), np.int64(0), np.int64(0), 0.0
    i = len(values) - 1
    while i >= 0:
        value = values[i]
        p, q = np.int64(0), np.int64(0)
        while i >= 0 and values[i] == value:
            if positive[i]:
                p += 1
            else:
                q += 1
            i -= 1
        twice += q * (2 * true + p)
        true += p
        false += q
        if p > 0:
            gained += p * (true / (true + false))
    return twice / (2.0 * true * false), gained / true
