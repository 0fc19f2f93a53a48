"""What each method adds to the best of all trades of toxicity against perplexity."""

from __future__ import annotations

from bezoar.evaluate import Scorecard
from bezoar.report.blocks import Cell, Table
from bezoar.report.numbers import bounds, number, percent

COLUMNS = ("method", "toxicity", "perplexity", "TPH", "alone", "adds to the front", "on it")


def front(card: Scorecard) -> Table | None:
    """The table under the picture of the front; None where there is nothing to weigh."""
    found = card.front
    if found is None or not found.points:
        return None
    rows = {row.label: row for row in card.rows if row.kind == "method"}
    cells: list[tuple[Cell | str, ...]] = []
    for point in found.points:
        tph = rows[point.label].change.get("tph") if point.label in rows else None
        cells.append(
            (
                point.label,
                percent(point.toxicity - 1, signed=True),
                percent(point.perplexity_change, signed=True),
                Cell("–", "", "muted") if tph is None else _cell(tph.value, tph.low, tph.high),
                _cell(point.alone.value, point.alone.low, point.alone.high),
                _cell(point.added.value, point.added.low, point.added.high),
                Cell(percent(point.on_front), "", "" if point.on_front >= 0.5 else "muted"),
            )
        )
    caption = (
        f"Hyper-volume: the area between a method and 'as toxic as before, perplexity "
        f"{percent(found.limit, signed=True)}', 1 being no toxicity at no cost. All methods "
        f"together cover {number(found.total.value)} "
        f"{bounds(found.total.low, found.total.high)}; a method adds what only it covers, and is "
        "on the front in the share of resamples in which that is anything. TPH, as published, also "
        f"falls where perplexity does. {found.protocol}."
    )
    return Table(caption, COLUMNS, tuple(cells))


def _cell(value: float, low: float, high: float) -> Cell:
    return Cell(number(value), bounds(low, high))
