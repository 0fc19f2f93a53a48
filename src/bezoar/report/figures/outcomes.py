"""A study in one picture: toxicity and perplexity of each variant, in the order given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.evaluate import MethodRow
from bezoar.report import theme
from bezoar.report.numbers import estimate

_TITLES = ("toxicity  (left is better)", "change in perplexity, %")


def outcomes(rows: Sequence[MethodRow], colours: Sequence[str]) -> Any:
    """A line a variant: its toxicity with the interval of its paired change, and its cost.

    The dotted line is the first row, with which the others are compared.

    Args:
        rows: the first is the no-op; each has a toxicity.
        colours: of each row.

    Raises:
        TypeError: if there is no row.
    """
    if not rows:
        raise TypeError("There is no variant to draw.")
    level = rows[0].metrics["toxicity"].value
    names = [row.label for row in rows]
    y = list(range(len(rows)))
    left = _dots(
        [
            (row.metrics["toxicity"].value, *_about(row, level), y[i], colours[i], _told(row))
            for i, row in enumerate(rows)
        ]
    )
    costs = [(row.change.get("perplexity_change"), i) for i, row in enumerate(rows)]
    right = _dots(
        [
            (100 * cost.value, 100 * cost.low, 100 * cost.high, y[i], colours[i], _told(rows[i]))
            for cost, i in costs
            if cost is not None
        ]
    )
    ticks = {"tickvals": y, "showgrid": False, "range": [len(y) - 0.4, -0.6]}
    height = 82 + 38 * len(rows)
    dotted = {"dash": "dot", "width": 1, "color": theme.GREY}
    return theme.figure(
        [left, right.update(xaxis="x2", yaxis="y2")],
        height=height,
        showlegend=False,
        margin={"l": 8, "r": 16, "t": 8, "b": 8},
        meta={
            "narrow": {
                "height": 2 * height,
                "xaxis.domain": [0, 1],
                "xaxis2.domain": [0, 1],
                "yaxis.domain": [0.56, 1],
                "yaxis2.domain": [0, 0.42],
                "yaxis2.showticklabels": True,
            }
        },
        shapes=[
            {"type": "line", "x0": at, "x1": at, "xref": axis, "yref": f"{other} domain"}
            | {"y0": 0, "y1": 1, "line": dotted}
            for at, axis, other in ((level, "x", "y"), (0, "x2", "y2"))
        ],
        xaxis={"title": {"text": _TITLES[0]}, "domain": [0, 0.56], "anchor": "y"}
        | {"rangemode": "tozero"},
        xaxis2={"title": {"text": _TITLES[1]}, "domain": [0.63, 1], "anchor": "y2"},
        yaxis=ticks | {"ticktext": [theme.wrapped(n, 26) for n in names], "anchor": "x"},
        yaxis2=ticks
        | {"ticktext": [theme.wrapped(n, 26) for n in names], "anchor": "x2"}
        | {"showticklabels": False},
    )


def _about(row: MethodRow, level: float) -> tuple[float, float]:
    """Bounds of the level: of the paired change, put at the no-op's level, where there is one."""
    change = row.change.get("toxicity")
    if change is None or change.identity:
        seen = row.metrics["toxicity"]
        return seen.low, seen.high
    return level + change.low, level + change.high


def _told(row: MethodRow) -> str:
    parts = [theme.label(row.label), f"toxicity {estimate(row.metrics['toxicity'])}"]
    if (change := row.change.get("toxicity")) is not None and not change.identity:
        parts.append(f"change {estimate(change, signed=True)}")
    return "<br>".join(parts)


def _dots(rows: list[tuple[float, float, float, int, str, str]]) -> Any:
    values = [row[0] for row in rows]
    bars = theme.error_bars(values, [row[1] for row in rows], [row[2] for row in rows], theme.FAINT)
    return go.Scatter(
        x=values,
        y=[row[3] for row in rows],
        mode="markers",
        marker={"size": 10, "color": [row[4] for row in rows]},
        error_x=bars | {"thickness": 3},
        customdata=[row[5] for row in rows],
        hovertemplate="%{customdata}<extra></extra>",
    )
