"""Figure 1 of Lee et al. 2024: at which state the edited model stops preparing the token."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import LensComparison
from bezoar.report import theme
from bezoar.report.figures.lens_curve import layer_ticks, state_name
from bezoar.report.figures.promoted_tokens import visible
from bezoar.stats.intervals import Interval

NAMED = 3  # components named in the picture


def figure_1_lens_comparison(lens: LensComparison) -> Any:
    """Both curves with 95 % intervals; grey stripes: the steps that raise it most in the base."""
    x = list(range(len(lens.states)))
    top = {step.component for step in lens.top_steps(NAMED) if step.base.low > 0}
    marked = [i for i, step in enumerate(lens.steps) if step.component in top]
    stripes = [
        {"type": "rect", "yref": "paper", "x0": i, "x1": i + 1, "y0": 0, "y1": 1}
        | {"fillcolor": theme.BAND, "line": {"width": 0}, "layer": "below"}
        for i in marked
    ]
    names = [
        {"x": i + 0.5, "y": 1, "yref": "paper", "yanchor": "top", "textangle": -90}
        | {"text": theme.label(lens.steps[i].component)}
        for i in marked
    ]
    ticks = layer_ticks(lens.states)
    more = len(lens.tokens) - 1
    what = f"‘{visible(lens.tokens[0])}’" + (f" and {more} more" if more else "")
    return theme.figure(
        [
            *_curve(lens.base_name, lens.states, lens.base, theme.BLUE, "rgba(47,126,216,0.22)"),
            *_curve(
                lens.edited_name, lens.states, lens.edited, theme.ORANGE, "rgba(217,112,0,0.22)"
            ),
        ],
        height=360,
        shapes=stripes,
        annotations=names,
        legend={"traceorder": "normal"},
        xaxis={"title": {"text": "layer"}, "showgrid": False, "range": [-0.5, len(x) - 0.5]}
        | {"tickvals": list(ticks.values()), "ticktext": list(ticks)},
        yaxis={"title": {"text": f"probability of {what}"}, "rangemode": "tozero"},
    )


def _curve(
    name: str, states: tuple[str, ...], values: tuple[Interval, ...], colour: str, fill: str
) -> list[Any]:
    x = list(range(len(states)))
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    return [
        go.Scatter(x=x, y=[v.high for v in values], **band),
        go.Scatter(x=x, y=[v.low for v in values], fill="tonexty", fillcolor=fill, **band),
        go.Scatter(
            name=theme.label(name),
            x=x,
            y=[v.value for v in values],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 5, "color": colour},
            customdata=[[theme.label(state_name(state))] for state in states],
            hovertemplate="%{customdata[0]}: %{y:.4f}<extra></extra>",
        ),
    ]
