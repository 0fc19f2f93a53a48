"""Rows out of many arrays in one pass, compiled. Imported where it is first needed: numba is slow
to import.

A store's rows lie in many files. Taking them file by file needs a sort and a second copy, which
cost more than the reading; here every row is copied once, from where it lies to where it goes.
"""

from __future__ import annotations

from typing import Any, no_type_check

import numba
import numpy as np
from jaxtyping import Int64
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.extending import intrinsic


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
        raise IndexError("A row is in no table that is at hand.")


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
@no_type_check  # numba compiles the function, not a checked wrapper
def _copy(addresses: Any, ends: Any, places: Any, out: Any) -> bool:
    width = out.shape[1]
    target = out.ctypes.data
    for i in range(len(places)):
        place = places[i]
        low, high = 0, len(ends)
        while low < high:  # the first table that ends after this row
            middle = (low + high) // 2
            if ends[middle] <= place:
                low = middle + 1
            else:
                high = middle
        if place < 0 or low == len(ends) or addresses[low] == 0:
            return False
        row = place - (ends[low - 1] if low > 0 else 0)
        _copy_bytes(target + i * width, addresses[low] + row * width, width)
    return True
