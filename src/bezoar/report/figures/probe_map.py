"""Where it lives: how well each layer and site reads the behaviour, and what reads it for free."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from bezoar.locate import ProbeSweep
from bezoar.report import theme
from bezoar.report.numbers import bounds, number
from bezoar.stats import Interval

CELL, LINE, GAP, ENDS = (
    34,
    28,
    96,
    96,
)  # pixels: a map row, a rival, between, around
WORDY = 16  # layers up to which the numbers stand in the cells


def probe_map(sweep: ProbeSweep) -> Any:
    """Heat map of AUROC by layer and point; under it the best site against its rivals.

    Raises:
        TypeError: if the sweep looked at no layer.
    """
    cells = {(s.point, s.layer): s for s in sweep.scores if s.layer is not None}
    if not cells:
        raise TypeError("This sweep looked at no layer, so there is no map to draw.")
    layers = sorted({layer for _, layer in cells if layer is not None})
    points = list(dict.fromkeys(point for point, _ in cells))
    values = [
        [cells[point, layer].auroc.value if (point, layer) in cells else None for layer in layers]
        for point in points
    ]
    rivals = rival_rows(sweep)
    height = CELL * len(points) + GAP + LINE * len(rivals)
    split = LINE * len(rivals) / height, 1 - CELL * len(points) / height
    low, high = _range([value for row in values for value in row if value is not None])
    return theme.figure(
        [_heat(values, layers, points), *_dots(sweep, rivals)],
        height=height + ENDS,
        meta={"min_width": 130 + (46 if len(layers) <= WORDY else 12) * len(layers)},
        shapes=_frame(sweep, layers, points),
        coloraxis={
            "cmin": low,
            "cmax": high,
            "colorbar": {"title": {"text": "AUROC", "side": "top"}, "len": 1 - split[1]}
            | {"y": 1, "yanchor": "top"},
        },
        xaxis={"title": {"text": "layer"}, "showgrid": False, "anchor": "y"}
        | {"tickvals": layers if len(layers) <= WORDY else None},
        yaxis={"domain": [split[1], 1], "tickvals": list(range(len(points)))}
        | {"ticktext": points, "autorange": "reversed", "showgrid": False},
        xaxis2={"title": {"text": "AUROC on texts that no probe was fitted to"}, "anchor": "y2"},
        yaxis2={"domain": [0, split[0]], "tickvals": list(range(len(rivals)))}
        | {"ticktext": [theme.wrapped(name) for name, _ in rivals], "showgrid": False}
        | {"range": [len(rivals) - 0.4, -0.6], "anchor": "x2"},
        showlegend=False,
    )


def rival_rows(sweep: ProbeSweep) -> list[tuple[str, Interval]]:
    """The best site and what it has to beat, each with its AUROC."""
    rows = [(f"best site: {sweep.best.site}", sweep.best.auroc)]
    embedding = sweep.at("embed")
    if embedding is not None:
        rows.append(("embedding layer", embedding.auroc))
    return rows + [(rival.name, rival.auroc) for rival in sweep.rivals]


def _heat(values: list[list[float | None]], layers: list[int], points: list[str]) -> Any:
    return go.Heatmap(
        z=values,
        x=layers,
        y=list(range(len(points))),
        customdata=[[theme.label(f"{layer}.{point}") for layer in layers] for point in points],
        texttemplate="%{z:.2f}" if len(layers) <= WORDY else None,
        textfont={"size": 11},
        hovertemplate="%{customdata}: AUROC %{z:.3f}<extra></extra>",
        coloraxis="coloraxis",
        hoverongaps=False,
        xgap=1,
        ygap=1,
    )


def _dots(sweep: ProbeSweep, rivals: list[tuple[str, Interval]]) -> list[Any]:
    axes = {"xaxis": "x2", "yaxis": "y2", "mode": "markers"}
    values = [seen.value for _, seen in rivals]
    bars = theme.error_bars(values, [s.low for _, s in rivals], [s.high for _, s in rivals])
    colours = [theme.BLUE] + [theme.GREY] * (len(rivals) - 1)
    dots = go.Scatter(
        x=values,
        y=list(range(len(rivals))),
        marker={"size": 9, "color": colours},
        error_x=bars | {"color": theme.GREY},
        customdata=[f"{number(s.value)} {bounds(s.low, s.high)}" for _, s in rivals],
        hovertemplate="%{customdata}<extra></extra>",
        **axes,
    )
    null = sweep.best.null
    if not null:
        return [dots]
    ticks = go.Scatter(
        x=list(null),
        y=[0] * len(null),
        marker={"symbol": "line-ns-open", "size": 12, "color": theme.FAINT},
        hovertemplate="shuffled labels: %{x:.3f}<extra></extra>",
        **axes,
    )
    return [ticks, dots]


def _frame(sweep: ProbeSweep, layers: list[int], points: list[str]) -> list[dict[str, Any]]:
    """Around the best site's cell, if it is in a layer."""
    best = sweep.best
    if best.layer is None:
        return []
    x, y = best.layer, points.index(best.point)
    half = min((b - a for a, b in pairwise(layers)), default=1) / 2
    line = {"color": theme.ORANGE, "width": 2.5}
    corners = {"x0": x - half, "x1": x + half, "y0": y - 0.5, "y1": y + 0.5}
    return [{"type": "rect", "line": line, **corners}]


def _range(values: list[float]) -> tuple[float, float]:
    """Steps of 0.05 around the values, at least 0.1 apart: colours must tell sites apart."""
    low = math.floor(20 * min(values)) / 20
    high = min(1.0, math.ceil(20 * max(values)) / 20)
    return (min(low, high - 0.1), high)
