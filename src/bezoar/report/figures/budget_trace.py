"""How a strength was found: the cost of each strength that was tried, against the budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.mitigate import BudgetTrace
from bezoar.report import theme

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")


def budget_trace(traces: BudgetTrace | Sequence[BudgetTrace]) -> Any:
    """Cost in per cent of the budget against strength, in units of the strength that was chosen.

    Strengths of different methods have different meanings; relative to the chosen one they can
    share an axis. A strength that broke the model has no cost and is not drawn.

    Raises:
        TypeError: if there is no trace.
    """
    shown = list(traces) if isinstance(traces, Sequence) else [traces]
    if not shown:
        raise TypeError("There is no search to draw.")
    lines = [_line(trace, i) for i, trace in enumerate(shown)]
    costs = [cost for line in lines for cost in line.y] + [100.0]
    low, high = max(-100.0, min(0.0, *costs)), min(400.0, max(costs))
    return theme.figure(
        lines,
        height=380 + 10 * len(lines),
        shapes=[
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 100, "y1": 100}
            | {"line": {"color": theme.GREY, "width": 1, "dash": "dot"}}
        ],
        annotations=[
            {"text": "budget", "xref": "paper", "x": 1, "xanchor": "right", "y": 100}
            | {"yanchor": "bottom"}
        ],
        xaxis={"title": {"text": "strength / strength chosen"}, "type": "log"}
        | {"tickvals": [m * 10.0**e for e in range(-4, 5) for m in (1, 3)]},
        yaxis={
            "title": {"text": "cost, % of the budget"},
            "range": [low - 0.1 * high, 1.15 * high],
        },
    )


def _line(trace: BudgetTrace, nth: int) -> Any:
    points = sorted((p for p in trace.points if p.cost is not None), key=lambda p: p.strength)
    unit = trace.strength or (points[0].strength if points else 1.0)
    colour = theme.SERIES[nth % len(theme.SERIES)]
    chosen = [point.strength == trace.strength for point in points]
    return go.Scatter(
        name=theme.label(trace.method),
        x=[point.strength / unit for point in points],
        y=[100 * p.cost / trace.budget for p in points if p.cost is not None],
        mode="lines+markers",
        line={"color": colour, "width": 1.2},
        marker={
            "color": colour,
            "symbol": _SYMBOLS[nth % len(_SYMBOLS)],
            "size": [12 if ringed else 7 for ringed in chosen],
            "line": {"width": [2 if ringed else 0 for ringed in chosen], "color": theme.GREY},
        },
        customdata=[point.strength for point in points],
        hovertemplate=f"{theme.label(trace.method)}<br>strength %{{customdata:.4g}}: %{{y:.0f}} %"
        "<extra></extra>",
    )
