"""Does a reader know the behaviour or the source? AUROC by source, seen in training or left out."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import plotly.graph_objects as go

from bezoar.errors import NoFigure
from bezoar.evaluate.contest_results import Contest, SourceRow
from bezoar.report import theme
from bezoar.report.figures.contest import COLOURS
from bezoar.report.numbers import estimate

ROW = 30  # pixels


def contest_sources(found: Contest) -> Any:
    """One line a reader and source: filled, trained on all sources; hollow, on all the others.

    Raises:
        NoFigure: if the report texts have no sources.
    """
    rows = [row for row in found.leave_one_out if row.auroc is not None]
    if not rows:
        raise NoFigure("The texts name no sources with both labels.", hint="See corpus.source.")
    rows = sorted(rows, key=lambda row: row.source)  # stable: readers keep their order
    ticks = list(range(len(rows)))
    names = [theme.wrapped(f"{row.source}: {row.reader}", 48) for row in rows]
    narrow = [theme.wrapped(f"{row.source}: {row.reader}", 22) for row in rows]
    return theme.figure(
        [*_gaps(rows), _marks(rows, "all sources"), _marks(rows, "the other sources")],
        height=110 + ROW * len(rows),
        meta={"narrow": {"yaxis.ticktext": narrow, "height": 120 + 2 * ROW * len(rows)}},
        shapes=_between(rows),
        xaxis={"title": {"text": "AUROC on held-out texts of the source"}, "tickformat": ".2f"},
        yaxis={"tickvals": ticks, "ticktext": names, "showgrid": False}
        | {"range": [len(rows) - 0.4, -0.6]},
        legend={"traceorder": "normal"},
    )


def _marks(rows: list[SourceRow], trained: str) -> Any:
    left_out = trained != "all sources"
    placed = [
        (i, row, seen)
        for i, row in enumerate(rows)
        if (seen := row.left_out if left_out else row.auroc) is not None
    ]
    values = [seen.value for *_, seen in placed]
    colours = [COLOURS[row.family] for _, row, _ in placed]
    bars = theme.error_bars(
        values, [seen.low for *_, seen in placed], [seen.high for *_, seen in placed], theme.FAINT
    )
    return go.Scatter(
        name=f"trained on {trained}",
        x=values,
        y=[i + (0.16 if left_out else -0.16) for i, *_ in placed],
        mode="markers",
        marker={
            "size": 9,
            "color": colours,
            "symbol": "circle-open" if left_out else "circle",
            "line": {"width": 2, "color": colours},
        },
        error_x=bars | {"thickness": 1.2},
        customdata=[
            f"{theme.wrapped(row.reader, 50)}<br>{theme.label(row.source)}: {row.n:,} texts, "
            f"{row.positives:,} with label 1<br>trained on {trained}: {estimate(seen)}"
            for _, row, seen in placed
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _gaps(rows: list[SourceRow]) -> list[Any]:
    """A faint line between the two marks of a row."""
    x: list[float | None] = []
    y: list[float | None] = []
    for i, row in enumerate(rows):
        if row.auroc is not None and row.left_out is not None:
            x += [row.auroc.value, row.left_out.value, None]
            y += [i - 0.16, i + 0.16, None]
    line = {"color": theme.FAINT, "width": 1}
    return [go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)]


def _between(rows: list[SourceRow]) -> list[dict[str, Any]]:
    """A line under each source but the last."""
    ends, at = [], -0.5
    for _, group in groupby(rows, key=lambda row: row.source):
        at += len(list(group))
        ends.append(at)
    line = {"color": theme.FAINT, "width": 1}
    shared = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "line": line}
    return [shared | {"y0": end, "y1": end} for end in ends[:-1]]
