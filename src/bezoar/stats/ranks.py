"""Ranks of very many columns, and from them the AUROC of each under any number of labellings.

Mann-Whitney's U of a column is a sum of ranks: ``2 U = Σ_{positives} 2 r − m (m + 1)``. Ranks do
not depend on labels, so that the AUROC under a hundred shuffles of the labels is one matrix
product. They are doubled here: those of ties stay whole numbers, and every sum is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Float64, Shaped
from scipy.stats import rankdata

from bezoar.errors import DataError

_MEMORY = 2**27
"""Bytes of ranks that are held at once, at eight a number; and at least 32 columns."""
_EXACT = 2**24
"""Up to here every whole number is one in float32."""


def sortable_columns(
    values: np.ndarray | Sequence[np.ndarray], *, memory: int = _MEMORY
) -> Iterator[tuple[slice, Shaped[np.ndarray, "k n"]]]:
    """Columns of values [n k], some at a time, as rows that sort as the columns do.

    Args:
        values: [n k] as float16, float32 or float64, or uint16 holding the bits of bfloat16; or
            several such arrays of k columns each, end to end.
        memory: bytes of ranks to expect to be held at once.

    Yields:
        Which columns, and their numbers as the rows of an array; those of 16 bits as the whole
        numbers in whose order they lie, both zeros as one.

    Raises:
        DataError: if a value is NaN; its column is named.
    """
    parts = [values] if isinstance(values, np.ndarray) else list(values)
    n, k = sum(map(len, parts)), parts[0].shape[1]
    width = max(32, memory // (8 * n))
    for first in range(0, k, width):
        columns = slice(first, min(first + width, k))
        block = np.concatenate([part[:, columns] for part in parts]).T
        rows = _ordered(block) if block.dtype.itemsize == 2 else np.ascontiguousarray(block)
        bad = _not_numbers(block)
        if bad.any():
            raise DataError(
                f"Column {first + int(bad.argmax())} of {k} holds NaN.",
                hint="Find out why; no row is left out.",
            )
        yield columns, rows


def doubled_ranks(rows: Shaped[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
    """Twice the rank of every number in its row, from 2 to 2n; ties share the mean of theirs.

    Rows of uint16, as `sortable_columns` gives them, are counted, others are sorted.
    """
    n = rows.shape[1]
    out = np.empty(rows.shape, np.float32 if n * (n + 1) < _EXACT else np.float64)
    if rows.dtype != np.uint16:
        out[:] = 2 * rankdata(rows, axis=1)
        return out
    from bezoar.stats.rank_loops import rank_counted

    rank_counted(np.ascontiguousarray(rows), out)
    return out


def auroc_of_ranks(
    ranks: Float[np.ndarray, "k n"], labellings: Shaped[np.ndarray, "draws rows"]
) -> Float64[np.ndarray, "k draws"]:
    """AUROC of every column under every labelling: `bezoar.stats.auroc`, to the last bit.

    Args:
        ranks: of `doubled_ranks`.
        labellings: 0/1, each with both.

    Raises:
        DataError: if a labelling has one class only, or not as many labels as there are ranks.
    """
    y = np.asarray(labellings).astype(bool)
    positives = y.sum(axis=1, dtype=np.int64)
    n = ranks.shape[1]
    if y.shape[1] != n or ((positives == 0) | (positives == n)).any():
        raise DataError(
            f"Labellings of shape {y.shape} for {n} ranks, with {positives.min()} to "
            f"{positives.max()} positives.",
            hint="Separation needs one label a row, and rows of both classes.",
        )
    sums = (ranks @ y.T.astype(ranks.dtype)).astype(np.float64)
    return (sums - positives * (positives + 1)) / (2.0 * positives * (n - positives))


def _ordered(bits: np.ndarray) -> np.ndarray:
    """16-bit floats as whole numbers that lie in the order of the floats."""
    bits = bits.view(np.uint16) if bits.dtype != np.uint16 else bits
    negative = bits & np.uint16(0x8000) != 0
    ordered = np.where(negative, ~bits, bits | np.uint16(0x8000))
    ordered[bits == 0x8000] = 0x8000
    return np.ascontiguousarray(ordered)


def _not_numbers(block: np.ndarray) -> np.ndarray:
    """Which rows of a block hold NaN."""
    if block.dtype == np.uint16:
        return np.any((block & np.uint16(0x7FFF)) > 0x7F80, axis=1)
    return np.any(np.isnan(block), axis=1)
