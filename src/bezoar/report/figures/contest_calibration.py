"""Can probabilities be believed? A reader's calibration error, against what chance leaves of it."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.evaluate.contest_results import FAMILIES, Contest, ContestRow, Family
from bezoar.report import theme
from bezoar.report.figures.contest import COLOURS, ROW, drawn
from bezoar.report.numbers import estimate, number


def contest_calibration(found: Contest) -> Any:
    """Expected calibration error with 95 % intervals, one line a reader, the least on top.

    The tick is what the same reader would have if its probabilities were exactly right: an error
    that reaches it cannot be told from none.
    """
    rows = sorted(drawn(found), key=lambda row: row.calibration_error.value)
    ticks = go.Scatter(
        name="if exactly right",
        x=[row.calibrated for row in rows],
        y=list(range(len(rows))),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 14, "color": theme.GREY, "line": {"width": 2}},
        hovertemplate="%{x:.3f} if exactly right<extra></extra>",
    )
    there = [family for family in FAMILIES if any(row.family == family for row in rows)]
    return theme.figure(
        [*(_dots(rows, family) for family in there), ticks],
        height=110 + ROW * len(rows),
        meta={
            "narrow": {
                "yaxis.ticktext": [theme.wrapped(row.label, 22) for row in rows],
                "height": 130 + int(1.4 * ROW) * len(rows),
            }
        },
        xaxis={"title": {"text": "expected calibration error"}, "rangemode": "tozero"},
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [theme.wrapped(row.label, 44) for row in rows],
            "showgrid": False,
            "range": [len(rows) - 0.4, -0.6],
        },
        legend={"traceorder": "normal"},
    )


def _dots(rows: list[ContestRow], family: Family) -> Any:
    placed = [(i, row) for i, row in enumerate(rows) if row.family == family]
    seen = [row.calibration_error for _, row in placed]
    values = [one.value for one in seen]
    return go.Scatter(
        name=FAMILIES[family],
        x=values,
        y=[i for i, _ in placed],
        mode="markers",
        marker={"size": 9, "color": COLOURS[family]},
        error_x=theme.error_bars(
            values, [one.low for one in seen], [one.high for one in seen], COLOURS[family]
        ),
        customdata=[
            f"{theme.wrapped(row.label, 50)}<br>{estimate(row.calibration_error)}; "
            f"{number(row.calibrated)} if exactly right"
            for _, row in placed
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
