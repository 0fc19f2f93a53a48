"""The figure: theirs over ours, difference by difference."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from recipes.agreement import drawing as draw

from bezoar.report import theme

Numbers = dict[str, Any]
WIDTH = 760
TICKS = (0.01, 0.1, 0.25, 0.5, 1, 2, 4, 10, 100)


def ratios(found: Numbers) -> Any:
    """Dots on a logarithmic axis; 1 is no difference."""
    rows = [row for row in found["rows"] if "ratio" in row]
    labels = [f"{row['differs']}: {row['measure']}" for row in rows]
    seen = [row["ratio"] for row in rows]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    traces = []
    for number, group in enumerate(groups):
        placed = [(i, own) for i, (row, own) in enumerate(zip(rows, seen, strict=True))
                  if row["group"] == group]  # fmt: skip
        look = draw.style(group, number, 0) | {"mode": "markers"}
        inside = [own for _, own in placed]
        traces.append(
            go.Scatter(
                x=[own["value"] for own in inside],
                y=[i for i, _ in placed],
                error_x=draw.interval_bars(inside, look["marker"]["color"]),
                hoverinfo="skip",
                **look,
            )
        )
    n = len(rows)
    line = {"type": "line", "x0": 1, "x1": 1, "yref": "y domain", "y0": 0, "y1": 1}
    return theme.figure(
        traces,
        height=150 + 38 * n,
        shapes=[line | {"line": {"dash": "dot", "color": theme.GREY, "width": 1.5}}],
        xaxis={
            "type": "log",
            "title": {"text": "their number over ours"},
            "tickvals": list(TICKS),
            "ticktext": [f"{tick:g}" for tick in TICKS],
        },
        yaxis={
            "tickvals": list(range(n)),
            "ticktext": [theme.wrapped(text, 62) for text in labels],
            "range": [n - 0.4, -0.6],
            "showgrid": False,
            "tickfont": {"size": 10},
        },
        margin=draw.MARGIN,
        legend=draw.LEGEND,
    )


FIGURES = {"ratios": ratios}
