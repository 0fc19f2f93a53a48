"""Between the base and the edited model, and beyond both."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import Interpolation
from bezoar.report import theme


def interpolation_curve(found: Interpolation) -> Any:
    """The measure at W + t ΔW with its 95 % interval; dotted lines mark the two models."""
    points = found.points
    values = [p.value.value for p in points]
    lows, highs = [p.value.low for p in points], [p.value.high for p in points]
    line = go.Scatter(
        x=[p.t for p in points],
        y=values,
        mode="lines+markers",
        line={"color": theme.BLUE, "width": 2},
        marker={"size": 7, "color": theme.BLUE},
        error_y=theme.error_bars(values, lows, highs, theme.BLUE),
        hovertemplate="t = %{x}: %{y:.4f}<extra></extra>",
        showlegend=False,
    )
    ends = [(0.0, found.base_name), (1.0, found.edited_name)]
    shapes = [
        {"type": "line", "x0": t, "x1": t, "yref": "paper", "y0": 0, "y1": 1}
        | {"line": {"dash": "dot", "width": 1, "color": theme.GREY}}
        for t, _ in ends
    ]
    names = [
        {"x": t, "y": 1, "yref": "paper", "yanchor": "bottom", "text": theme.wrapped(name)}
        for t, name in ends
    ]
    return theme.figure(
        [line],
        height=330,
        shapes=shapes,
        annotations=names,
        margin={"l": 8, "r": 16, "t": 48, "b": 8},
        xaxis={"title": {"text": "t in W + t (W′ − W)"}},
        yaxis={"title": {"text": theme.label(found.measure)}},
    )
