"""Rows out of many arrays in one pass, compiled. Imported where it is first needed: numba is slow
to import.

A store's rows lie in many files. Taking them file by file needs a sort and a second copy, which
cost more than the reading; here every row is copied once, from where it lies to where it goes.
"""

from __future__ import annotations

from typing import Any, no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int64
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.extending import intrinsic

_MISSING = "A row is in no table that is at hand."


def gather_rows(
    addresses: Int64[np.ndarray, " tables"],
    ends: Int64[np.ndarray, " tables"],
    places: Int64[np.ndarray, " n"],
    out: np.ndarray,
) -> None:
    """Copy row ``places[i]`` of the tables, counted end to end, to ``out[i]``.

    Args:
        addresses: where each table [rows d] begins in memory, its rows end to end, of the width
            and dtype of ``out``; 0 where a table is not at hand. The caller keeps them alive.
        ends: rows in all tables up to each, its own included.
        places: which rows.
        out: [n d], contiguous.

    Raises:
        IndexError: if a place is in no table at hand.
    """
    if not len(places):
        return
    if not _copy(addresses, ends, places, out.view(np.uint8).reshape(len(out), -1)):
        raise IndexError(_MISSING)


def gather_widened(
    addresses: Int64[np.ndarray, " tables"],
    ends: Int64[np.ndarray, " tables"],
    places: Int64[np.ndarray, " n"],
    out: Float32[np.ndarray, "n d"],
    brain: bool,
) -> None:
    """The same from tables of half the width in bytes: of float16, or bfloat16 where ``brain``.

    Raises:
        IndexError: if a place is in no table at hand.
    """
    if not _widen(addresses, ends, places, out.view(np.uint32), brain):
        raise IndexError(_MISSING)


@intrinsic
@no_type_check
def _copy_bytes(_: Any, target: Any, source: Any, size: Any) -> Any:
    """``memcpy`` between two addresses."""

    def generate(context: Any, builder: Any, __: Any, args: Any) -> Any:
        to, origin = (builder.inttoptr(a, ir.IntType(8).as_pointer()) for a in args[:2])
        cgutils.raw_memcpy(builder, to, origin, args[2], 1)
        return context.get_dummy_value()

    return numba.void(numba.intp, numba.intp, numba.intp), generate


@numba.njit(nogil=True, cache=True)
@no_type_check  # numba compiles these functions, not checked wrappers
def _row(addresses: Any, ends: Any, place: Any, width: Any) -> int:
    """The address of a row of so many bytes, or 0 if it is in no table at hand."""
    low, high = 0, len(ends)
    while low < high:  # the first table that ends after this row
        middle = (low + high) // 2
        if ends[middle] <= place:
            low = middle + 1
        else:
            high = middle
    if place < 0 or low == len(ends) or addresses[low] == 0:
        return 0
    return addresses[low] + (place - (ends[low - 1] if low > 0 else 0)) * width


@numba.njit(nogil=True, cache=True)
@no_type_check
def _copy(addresses: Any, ends: Any, places: Any, out: Any) -> bool:
    width = out.shape[1]
    target = out.ctypes.data
    for i in range(len(places)):
        source = _row(addresses, ends, places[i], width)
        if source == 0:
            return False
        _copy_bytes(target + i * width, source, width)
    return True


@numba.njit(nogil=True, cache=True)
@no_type_check
def _widen(addresses: Any, ends: Any, places: Any, out: Any, brain: Any) -> bool:
    """Bits of float32 from those of half floats, without instructions that not all have."""
    width = out.shape[1]
    row = np.empty(width, np.uint16)  # copied first: a file is seldom aligned to two bytes
    for i in range(len(places)):
        source = _row(addresses, ends, places[i], 2 * width)
        if source == 0:
            return False
        _copy_bytes(row.ctypes.data, source, 2 * width)
        if brain:
            for j in range(width):
                out[i, j] = np.uint32(row[j]) << np.uint32(16)
        else:
            for j in range(width):
                out[i, j] = _bits_of_half(np.uint32(row[j]))
    return True


@numba.njit(nogil=True, cache=True)
@no_type_check
def _bits_of_half(half: Any) -> Any:
    """The float32 of a float16: exponents are 112 apart; 2⁻²⁴ is the step of the smallest."""
    # Every step is cut to 32 bits again: else it is computed in 64, half as many at a time.
    size = np.uint32(half & np.uint32(0x7FFF))
    normal = np.uint32(np.uint32(size << np.uint32(13)) + np.uint32(112 << 23))
    large = np.uint32(normal + np.uint32(112 << 23))  # infinite, or no number
    small = np.float32(np.float32(np.int32(size)) * np.float32(2.0**-24)).view(np.uint32)
    bits = small if size < np.uint32(0x400) else (large if size >= np.uint32(0x7C00) else normal)
    return np.uint32(bits | np.uint32(np.uint32(half & np.uint32(0x8000)) << np.uint32(16)))
