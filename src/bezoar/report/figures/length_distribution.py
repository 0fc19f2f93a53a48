"""The data: how long the texts are, as histogram, smooth curve, mean, box and numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from bezoar.corpus.explore_lengths import LengthDistribution
from bezoar.report import theme
from bezoar.report.numbers import count

BOX = 0.16  # share of the height


def length_distribution(lengths: LengthDistribution) -> Any:
    """Histogram with a Gaussian kernel estimate of its height and the mean; above it, the box."""
    traces = [_histogram(lengths), _box(lengths)]
    if lengths.density:
        traces.insert(1, _curve(lengths))
    return theme.figure(
        traces,
        height=420,
        bargap=0,
        showlegend=False,
        xaxis={"title": {"text": f"length in {lengths.unit}"}, "showgrid": False, "anchor": "y"},
        yaxis={
            "title": {"text": "texts"},
            "rangemode": "tozero",
            "domain": [0, 1 - BOX - 0.02],
        },
        yaxis2={
            "domain": [1 - BOX, 1],
            "showticklabels": False,
            "showgrid": False,
            "range": [-0.6, 0.6],
        },
        shapes=[_mean_line(lengths)],
        annotations=[_mean_name(lengths), _numbers(lengths)],
    )


def _histogram(lengths: LengthDistribution) -> Any:
    edges = lengths.edges
    width = edges[1] - edges[0]
    said = [
        count(round(left + 0.5)) if width == 1 else f"{left + 0.5:,.0f} to {right - 0.5:,.0f}"
        for left, right in pairwise(edges)
    ]
    return go.Bar(
        x=[left + width / 2 for left in edges[:-1]],
        y=list(lengths.counts),
        width=width,
        marker={"color": theme.BLUE, "opacity": 0.55, "line": {"width": 0}},
        customdata=said,
        hovertemplate=f"%{{customdata}} {lengths.unit}: %{{y:,}} texts<extra></extra>",
    )


def _curve(lengths: LengthDistribution) -> Any:
    return go.Scatter(
        x=list(lengths.grid),
        y=list(lengths.curve),
        mode="lines",
        line={"color": theme.ORANGE, "width": 2},
        hoverinfo="skip",
    )


def _box(lengths: LengthDistribution) -> Any:
    low, high = lengths.quartiles
    return go.Box(
        orientation="h",
        y0=0,
        q1=[low],
        median=[lengths.median],
        q3=[high],
        lowerfence=[lengths.fences[0]],
        upperfence=[lengths.fences[1]],
        mean=[lengths.mean],
        fillcolor=theme.BAND,
        line={"color": theme.GREY, "width": 1.4},
        width=0.7,
        yaxis="y2",
        hoverinfo="x",
    )


def _mean_line(lengths: LengthDistribution) -> dict[str, Any]:
    line = {"color": theme.PURPLE, "width": 1.6, "dash": "dash"}
    ends = {"x0": lengths.mean, "x1": lengths.mean, "y0": 0, "y1": 1}
    return {"type": "line", "yref": "y domain", "line": line, **ends}


def _mean_name(lengths: LengthDistribution) -> dict[str, Any]:
    place = {"x": lengths.mean, "y": 1, "yref": "y domain"}
    return {"text": "mean", "xanchor": "left", "yanchor": "top", "xshift": 4, **place}


def _numbers(lengths: LengthDistribution) -> dict[str, Any]:
    """The text box."""
    told = [
        f"n {lengths.n:,}",
        f"mean {lengths.mean:,.1f}",
        f"median {lengths.median:,.1f}",
        f"standard deviation {lengths.sd:,.1f}",
        f"range {lengths.least:,} to {lengths.most:,}",
        f"beyond the whiskers {lengths.beyond:,}",
    ]
    place = {"x": 1, "y": 0.98, "xref": "paper", "yref": "y domain", "xanchor": "right"}
    box = {"bordercolor": theme.FAINT, "borderwidth": 1, "borderpad": 6}
    return {"text": "<br>".join(told), "align": "left", "yanchor": "top", **place, **box}
