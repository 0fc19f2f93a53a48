"""Table cells that carry their numbers: with an interval, as a share, or alone."""

from __future__ import annotations

from bezoar.evaluate import Metric
from bezoar.report.blocks import Cell, Tone
from bezoar.report.numbers import bounds, count, number, percent
from bezoar.stats import Interval


def interval_cell(
    seen: Interval | Metric | None, *, signed: bool = False, share: bool = False, tone: Tone = ""
) -> Cell:
    """A value over its bounds; the numbers go into the table's file."""
    if seen is None:
        return Cell("–", "", "muted")
    numbers = (seen.value, seen.low, seen.high)
    if share:
        low, high = (percent(bound, signed=signed) for bound in (seen.low, seen.high))
        return Cell(percent(seen.value, signed=signed), f"[{low}, {high}]", tone, numbers)
    note = bounds(seen.low, seen.high, signed=signed)
    return Cell(number(seen.value, signed=signed), note, tone, numbers)


def number_cell(value: float | None, *, signed: bool = False, digits: int | None = None) -> Cell:
    """A number without an interval."""
    if value is None:
        return Cell("–", "", "muted")
    return Cell(number(value, signed=signed, digits=digits), "", "", (value,))


def share_cell(value: float | None, *, signed: bool = False) -> Cell:
    """A share as per cent; the file has it as a share."""
    if value is None:
        return Cell("–", "", "muted")
    return Cell(percent(value, signed=signed), "", "", (value,))


def count_cell(n: int) -> Cell:
    """How many."""
    return Cell(count(n), "", "", (float(n),))
