"""Between the base and the edited model, and beyond both."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import Interpolation
from bezoar.report import theme
from bezoar.report.numbers import estimate


def interpolation_curve(found: Interpolation) -> Any:
    """The measure at W + t ΔW; dotted lines mark the two models and the base's value.

    A bar is the 95 % interval of the paired change, put at the base's value: it crosses the dotted
    line where the change may be none.
    """
    points = found.points
    values = [p.value.value for p in points]
    origin = next(p.value.value for p in points if p.t == 0)
    lows, highs = ([origin + b for b in bounds] for bounds in _bounds(found))
    line = go.Scatter(
        x=[p.t for p in points],
        y=values,
        mode="lines+markers",
        line={"color": theme.BLUE, "width": 2},
        marker={"size": 7, "color": theme.BLUE},
        error_y=theme.error_bars(values, lows, highs, theme.BLUE),
        hovertemplate="t = %{x}: %{customdata[0]}<br>change %{customdata[1]}<extra></extra>",
        showlegend=False,
    )
    changes = [[estimate(p.value), estimate(p.change, signed=True)] for p in points]
    line.update(customdata=changes)
    ends = [(0.0, found.base_name), (1.0, found.edited_name)]
    shapes = [
        {"type": "line", "x0": t, "x1": t, "yref": "paper", "y0": 0, "y1": 1}
        | {"line": {"dash": "dot", "width": 1, "color": theme.GREY}}
        for t, _ in ends
    ]
    shapes.append(
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": origin, "y1": origin}
        | {"line": {"dash": "dot", "width": 1, "color": theme.GREY}}
    )
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


def _bounds(found: Interpolation) -> tuple[list[float], list[float]]:
    return [p.change.low for p in found.points], [p.change.high for p in found.points]
