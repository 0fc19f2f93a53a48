"""The compiled loop behind `doubled_ranks`. Imported where first needed: numba starts slowly."""

from __future__ import annotations

from typing import Any, no_type_check

import numba
import numpy as np

_BLOCK = 64  # values that are skipped together where none occurred


@numba.njit(nogil=True, cache=True)
@no_type_check  # numba compiles the function, not a checked wrapper
def rank_counted(rows: Any, ranks: Any) -> None:
    """Twice the rank of every number in its row of uint16, written to ``ranks``, both [k n]."""
    counts = np.zeros(1 << 16, np.int32)
    seen = np.zeros((1 << 16) // _BLOCK, np.bool_)
    n = rows.shape[1]
    for row in range(len(rows)):
        for i in range(n):
            counts[rows[row, i]] += 1
            seen[rows[row, i] // _BLOCK] = True
        below = 0
        for block in range(len(seen)):
            if not seen[block]:
                continue
            seen[block] = False
            for value in range(block * _BLOCK, (block + 1) * _BLOCK):
                ties = counts[value]
                if ties > 0:
                    counts[value] = 2 * below + ties + 1
                    below += ties
        for i in range(n):
            ranks[row, i] = counts[rows[row, i]]
        for i in range(n):
            counts[rows[row, i]] = 0
