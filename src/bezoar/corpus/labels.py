"""From the cells of a column to texts and binary labels, or an error that says what was seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int8

from bezoar.errors import DataError

_WORDS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def is_missing(cell: Any) -> bool:
    """Whether a cell is null or NaN."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def as_texts(cells: Sequence[Any], where: str) -> list[str]:
    """Cells as strings; missing ones become "" (``clean`` drops and counts them).

    Raises:
        DataError: if the column holds something else than strings.
    """
    for row, cell in enumerate(cells, start=1):
        if not isinstance(cell, str) and not is_missing(cell):
            raise DataError(
                f"{where}, row {row}: {type(cell).__name__} {cell!r:.40}, not a text.",
                hint="Name the column of texts.",
            )
    return ["" if is_missing(cell) else cell for cell in cells]


def repair(texts: Sequence[str]) -> tuple[list[str], str]:
    """Replace what no file or tokenizer can hold: lone surrogates and null characters.

    Returns:
        The texts, and a note counting the rows that changed ("" if none did).
    """
    fixed = list(texts)
    changed: list[int] = []
    for row, text in enumerate(texts):
        try:
            text.encode()
            good = "\0" not in text
        except UnicodeEncodeError:
            good = False
        if not good:
            kept = ("\ud800" <= char <= "\udfff" or char == "\0" for char in text)
            fixed[row] = "".join(
                REPLACEMENT if bad else c for bad, c in zip(kept, text, strict=True)
            )
            changed.append(row + 1)
    if not changed:
        return fixed, ""
    shown = ", ".join(map(str, changed[:5])) + (", …" if len(changed) > 5 else "")
    return fixed, f"{len(changed)} rows had null characters or lone surrogates, replaced: {shown}"


def binary_labels(
    cells: Sequence[Any],
    where: str,
    *,
    positive: str | Sequence[str] | None = None,
    threshold: float | None = None,
) -> Int8[np.ndarray, " text"]:
    """Read a label column.

    Args:
        cells: the column.
        where: file and column, for messages.
        positive: the value, or values, that mean 1; everything else is 0.
        threshold: for scores: 1 where the cell is at least this.

    Raises:
        DataError: if a label is missing, or the values are not binary and nothing says how to
            make them so.
    """
    missing = [row for row, cell in enumerate(cells, start=1) if is_missing(cell) or cell == ""]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(cells)} rows have no label, the first is row "
            f"{missing[0]}.",
            hint="Remove or label those rows.",
        )
    if positive is not None and threshold is not None:
        raise DataError(
            f"{where}: both a positive value and a threshold were given.", hint="Choose."
        )
    if threshold is not None:
        return _thresholded(cells, where, threshold)
    if positive is not None:
        return _matched(cells, where, [positive] if isinstance(positive, str) else list(positive))
    read = [_WORDS.get(str(cell).strip().lower()) for cell in cells]
    if None in read:
        raise DataError(
            f"{where}: labels must be binary (0/1 or true/false), seen {_seen(cells)}.",
            hint="Say which value is positive (--set data.positive=…), or from which score on "
            "(--set data.threshold=…).",
        )
    return np.array(read, dtype=np.int8)


def _thresholded(cells: Sequence[Any], where: str, threshold: float) -> Int8[np.ndarray, " text"]:
    try:
        scores = np.array([float(cell) for cell in cells])
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where}: a threshold needs numbers, seen {_seen(cells)}.",
            hint="Use a positive value instead.",
        ) from error
    return (scores >= threshold).astype(np.int8)


def _matched(cells: Sequence[Any], where: str, positive: list[str]) -> Int8[np.ndarray, " text"]:
    values = [str(cell) for cell in cells]
    unknown = [value for value in positive if value not in values]
    if unknown and values:
        raise DataError(
            f"{where}: no row has the positive value {unknown[0]!r}; seen {_seen(cells)}."
        )
    return np.array([value in positive for value in values], dtype=np.int8)


def _seen(cells: Sequence[Any]) -> str:
    counts = Counter(str(cell)[:40] for cell in cells)
    shown = ", ".join(f"{value!r} ({n}×)" for value, n in counts.most_common(6))
    more = len(counts) - 6
    return shown + (f" and {more} more values" if more > 0 else "")
