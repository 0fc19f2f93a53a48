"""How well each of very many columns separates two classes: exact, in bounded memory.

`bezoar.stats.classification` measures one score with its interval. Here are the same AUROC and
average precision, without intervals, for every neuron of a model at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from bezoar.errors import DataError
from bezoar.stats.classification import binary_labels

MEMORY = 2**28
"""Bytes of columns that are turned together; and at least 32 columns."""
_INFINITY = {"float16": 0x7C00, "bfloat16": 0x7F80}


@dataclass(frozen=True, slots=True, eq=False)
class Separation:
    """AUROC and average precision of each column, as `auroc` and `average_precision` define."""

    auroc: Float64[np.ndarray, " k"]
    average_precision: Float64[np.ndarray, " k"]


def separate_columns(
    values: np.ndarray | Sequence[np.ndarray], labels: ArrayLike, *, memory: int = MEMORY
) -> Separation:
    """AUROC and average precision of every column of values [n k].

    Columns of 16 bits are counted, not sorted: some 70 times as fast as scikit-learn, one column
    after another. Wider ones are sorted.

    Args:
        values: [n k] as float16, float32 or float64, or uint16 holding the bits of bfloat16; or
            several such arrays of k columns each, end to end. Memory maps are read in place, a
            block of columns at a time.
        labels: 0/1, [n], in the order of ``values``.
        memory: bytes of columns to hold at once.

    Raises:
        DataError: if a value is NaN (the column is named), shapes disagree, or a class is missing.
    """
    parts = [values] if isinstance(values, np.ndarray) else list(values)
    y = binary_labels(labels)
    n, k = _shape(parts, y)
    found = Separation(np.empty(k), np.empty(k))
    counted = parts[0].dtype.itemsize == 2
    width = max(32, memory // (parts[0].dtype.itemsize * n))
    for first in range(0, k, width):
        columns = slice(first, min(first + width, k))
        bad = (_count if counted else _sort)(parts, y, columns, found)
        if bad is not None:
            raise DataError(
                f"Column {bad} of {k} holds NaN.", hint="Find out why; no row is left out."
            )
    return found


def _count(parts: list[np.ndarray], y: np.ndarray, columns: slice, found: Separation) -> int | None:
    from bezoar.stats.counting import separate, turn

    turned = np.empty((columns.stop - columns.start, len(y)), np.uint16)
    at = [0, int((~y).sum())]  # negatives first
    for part, labels in _labelled(parts, y):
        for kind in (0, 1):
            rows = np.flatnonzero(labels == kind)
            turn(part.view(np.uint16), rows, columns.start, turned, at[kind])
            at[kind] += len(rows)
    infinity = _INFINITY["float16" if parts[0].dtype == np.float16 else "bfloat16"]
    auroc, precision = found.auroc[columns], found.average_precision[columns]
    bad = int(separate(turned, int((~y).sum()), infinity, auroc, precision))
    return None if bad < 0 else columns.start + bad


def _sort(parts: list[np.ndarray], y: np.ndarray, columns: slice, found: Separation) -> int | None:
    from bezoar.stats.counting import separate_sorted

    block = np.concatenate([part[:, columns] for part in parts])
    for column in range(columns.start, columns.stop):
        values = np.ascontiguousarray(block[:, column - columns.start])
        if np.isnan(values).any():
            return column
        order = np.argsort(values)
        both = separate_sorted(values[order], y[order])
        found.auroc[column], found.average_precision[column] = both
    return None


def _labelled(parts: list[np.ndarray], y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    at = 0
    for part in parts:
        yield part, y[at : at + len(part)]
        at += len(part)


def _shape(parts: list[np.ndarray], y: np.ndarray) -> tuple[int, int]:
    """Rows and columns of all parts together, if they fit one another and the labels."""
    kinds = {(part.dtype.name, *part.shape[1:]) for part in parts}
    n = sum(len(part) for part in parts)
    known = ("float16", "uint16", "float32", "float64")
    if len(kinds) != 1 or len(min(kinds)) != 2 or min(kinds)[0] not in known or n != len(y):
        raise DataError(
            f"{n} rows of {sorted(map(str, kinds))} for {len(y)} labels.",
            hint="Give arrays [n k] of one floating dtype, and one label a row.",
        )
    if y.all() or not y.any():
        raise DataError(
            f"All {n} labels are {int(y[0])}.", hint="Separation needs rows of both classes."
        )
    return n, int(parts[0].shape[1])
