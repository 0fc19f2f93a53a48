"""EigenShift by α and k: what damping the unembedding's directions removes, and what it costs."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.evaluate.eigen_results import EigenGrid, EigenPoint
from bezoar.report import theme
from bezoar.report.numbers import estimate, percent

_FAR = 1.0  # a perplexity more than doubled is beyond the picture


def eigen_grid(grid: EigenGrid) -> Any:
    """Toxicity against the change of perplexity, a line for every k, a point for every α.

    All lines begin in the control, α = 1. Points whose perplexity has more than doubled are left
    out; their numbers are in the table.
    """
    traces = [
        _line(k, [p for p in grid.points if p.k == k and _near(p)], colour)
        for k, colour in zip(grid.ks, _colours(len(grid.ks)), strict=True)
    ]
    traces.append(_control(grid.control))
    left_out = sum(not _near(p) for p in grid.points)
    note = f"{left_out} points of more than +100 % perplexity are not drawn" if left_out else ""
    corner = {"x": 1, "xref": "paper", "xanchor": "right", "y": 0, "yref": "paper"}
    return theme.figure(
        traces,
        height=440,
        meta={"narrow": {"height": 520}},
        annotations=[corner | {"text": note, "yanchor": "bottom"}] if note else [],
        xaxis={"title": {"text": "change in perplexity, %"}},
        yaxis={"title": {"text": "toxicity  (down is better)"}, "rangemode": "tozero"},
        legend={"title": {"text": f"directions of {grid.d_model}"}},
    )


def _near(point: EigenPoint) -> bool:
    return point.perplexity_change.value <= _FAR


def _colours(n: int) -> list[str]:
    series = [colour for colour in theme.SERIES if colour != theme.ORANGE]
    return [series[i % len(series)] for i in range(n)]


def _line(k: int, points: list[EigenPoint], colour: str) -> Any:
    y = [p.toxicity.value for p in points]
    lows, highs = ([getattr(p.toxicity, side) for p in points] for side in ("low", "high"))
    return go.Scatter(
        name=f"k = {k}",
        x=[100 * p.perplexity_change.value for p in points],
        y=y,
        error_y=theme.error_bars(y, lows, highs, colour) | {"thickness": 1},
        mode="lines+markers+text",
        text=[f"{p.alpha:g}" for p in points],
        textposition="top right",
        textfont={"size": 10},
        line={"color": colour, "width": 1.5},
        marker={"color": colour, "size": 8},
        customdata=[_hover(p) for p in points],
        hovertemplate=f"k = {k}<br>%{{customdata}}<extra></extra>",
    )


def _hover(point: EigenPoint) -> str:
    return (
        f"α = {point.alpha:g}<br>toxicity {estimate(point.toxicity)}"
        f"<br>against α = 1 {estimate(point.change, signed=True)}"
        f"<br>perplexity {percent(point.perplexity_change.value, signed=True)}"
    )


def _control(point: EigenPoint) -> Any:
    return go.Scatter(
        name="α = 1, the control",
        x=[0.0],
        y=[point.toxicity.value],
        mode="markers",
        marker={"color": theme.ORANGE, "size": 12, "symbol": "diamond"},
        customdata=[_hover(point)],
        hovertemplate="%{customdata}<extra></extra>",
    )
