"""From the cells of a column to texts and binary labels, or an error that says what was seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8

from bezoar.corpus.table import At, counted, quoted, row_at, rows_at
from bezoar.errors import DataError

_WORDS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def is_missing(cell: Any) -> bool:
    """Whether a cell is null or NaN."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def says_nothing(text: str) -> bool:
    """Whether a text has no content: blanks, zero-width characters and replaced bytes are none."""
    return not text.strip().strip("\ufeff\u200b\u2060\ufffd\0 \t\r\n")


def as_texts(cells: Sequence[Any], where: str, at: At = row_at) -> list[str]:
    """Cells as strings; missing ones become "" (``clean`` drops and counts them).

    Raises:
        DataError: if the column holds something else than strings.
    """
    for row, cell in enumerate(cells):
        if not isinstance(cell, str) and not is_missing(cell):
            raise DataError(
                f"{where}, {at(row)}: {_kind(cell)}, not a text.",
                hint="Name the column of texts (--text COLUMN), or write its cells as strings.",
            )
    return ["" if is_missing(cell) else cell for cell in cells]


def _kind(cell: Any) -> str:
    said = quoted(cell)
    return said if said.startswith("a ") else f"{type(cell).__name__} {said}"


def as_names(cells: Sequence[Any]) -> tuple[str, ...]:
    """Cells of a column that names things (a source, a group); "" where one is missing."""
    texts = ("" if is_missing(c) else c if isinstance(c, str) else quoted(c) for c in cells)
    return tuple(repair(list(texts))[0])


def repair(texts: Sequence[str], at: At = row_at) -> tuple[list[str], str]:
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
            changed.append(row)
    if not changed:
        return fixed, ""
    rows = "1 row" if len(changed) == 1 else f"{len(changed)} rows"
    return fixed, (
        f"{rows} had null characters or lone surrogates, replaced: {rows_at(changed, at, 5)}"
    )


def numbers(
    cells: Sequence[Any],
    where: str,
    at: At = row_at,
    hint: str = "Leave a cell empty where there is no score, or rename the column.",
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Float64[np.ndarray, " text"]:
    """Cells as numbers; NaN where one is missing or says so.

    Raises:
        DataError: naming the first cell that is no number, or none within the limits.
    """
    read = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if is_missing(cell) or (isinstance(cell, str) and not cell.strip()):
            continue
        try:
            read[row] = float(cell)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"{where}, {at(row)}: {quoted(cell)} is not a number.", hint=hint
            ) from error
        if not (math.isnan(read[row]) or limits[0] <= read[row] <= limits[1]):
            raise DataError(
                f"{where}, {at(row)}: {quoted(cell)} is no score from {limits[0]:g} to "
                f"{limits[1]:g}.",
                hint="Scale the scores, or rename the column if it is something else.",
            )
    return read


def binary_labels(
    cells: Sequence[Any],
    where: str,
    *,
    positive: str | Sequence[str] | None = None,
    threshold: float | None = None,
    at: At = row_at,
) -> Int8[np.ndarray, " text"]:
    """Read a label column.

    Args:
        cells: the column.
        where: file and column, for messages.
        positive: the value, or values, that mean 1; everything else is 0.
        threshold: for scores: 1 where the cell is at least this.
        at: how messages name a row.

    Raises:
        DataError: if a label is missing, or the values are not binary and nothing says how to
            make them so.
    """
    if positive is not None and threshold is not None:
        raise DataError(
            f"{where}: both a positive value and a threshold were given.", hint="Choose."
        )
    missing = [row for row, cell in enumerate(cells) if _is_blank(cell)]
    if threshold is not None and not missing:
        scores = numbers(cells, where, at, "A threshold needs them; or name a positive value.")
        missing = np.flatnonzero(np.isnan(scores)).tolist()
    if missing:
        have = "has" if len(missing) == 1 else "have"
        raise DataError(
            f"{where}: {len(missing)} of {counted(len(cells), 'row')} {have} no label, the first "
            f"is {at(missing[0])}.",
            hint="Remove or label those rows.",
        )
    if threshold is not None:
        return (scores >= threshold).astype(np.int8)
    if positive is not None:
        return matched(cells, where, [positive] if isinstance(positive, str) else list(positive))
    read = [_WORDS.get(_value(cell).strip().lower()) for cell in cells]
    if None in read:
        first = read.index(None)
        raise DataError(
            f"{where}: labels must be binary (0/1 or true/false), seen {_seen(cells)}; the first "
            f"that is neither is {at(first)}.",
            hint="Say which value is positive (--set data.positive=…), or from which score on "
            "(--set data.threshold=…).",
        )
    return np.array(read, dtype=np.int8)


def _is_blank(cell: Any) -> bool:
    return is_missing(cell) or (isinstance(cell, str) and not cell.strip())


def matched(cells: Sequence[Any], where: str, positive: Sequence[str]) -> Int8[np.ndarray, " text"]:
    """1 where a cell is one of the positive values.

    Raises:
        DataError: if no cell is one of them, with the values that were seen.
    """
    values = [_value(cell) for cell in cells]
    unknown = [value for value in positive if value not in values]
    if unknown and values:
        raise DataError(
            f"{where}: no row has the positive value {unknown[0]!r}; seen {_seen(cells)}.",
            hint="Give one of the values that were seen.",
        )
    return np.array([value in positive for value in values], dtype=np.int8)


def _value(cell: Any) -> str:
    return cell if isinstance(cell, str) else quoted(cell)


def _seen(cells: Sequence[Any]) -> str:
    counts = Counter(_value(cell) for cell in cells)
    shown = ", ".join(f"{quoted(value)} ({n}×)" for value, n in counts.most_common(6))
    more = len(counts) - 6
    return shown + (f" and {more} more values" if more > 0 else "")
