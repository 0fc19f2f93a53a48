"""Where it lives: how well each layer and site reads the behaviour, and what reads it for free."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from bezoar.locate import ProbeSweep
from bezoar.report import theme
from bezoar.report.numbers import estimate
from bezoar.stats import Interval

CELL, LINE, GAP, ENDS = 34, 32, 96, 96  # pixels: a map row, a rival, between, around
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
    rivals = _rival_rows(sweep)
    height = CELL * len(points) + GAP + LINE * len(rivals)
    split = LINE * len(rivals) / height, 1 - CELL * len(points) / height
    low, high = _range([value for row in values for value in row if value is not None])
    wordy = len(layers) <= WORDY
    return theme.figure(
        [_heat(values, layers, points), *_dots(sweep, rivals)],
        height=height + ENDS,
        meta={
            "narrow": {"yaxis2.ticktext": [theme.wrapped(name, 18) for name, _ in rivals]},
            "min_width": 130 + (32 if wordy else 12) * len(layers),
        },
        shapes=_frame(sweep, layers, points),
        coloraxis={
            "cmin": low,
            "cmax": high,
            "showscale": not wordy,
            "colorbar": {"title": {"text": "AUROC", "side": "top"}},
        },
        xaxis={"title": {"text": "layer"}, "showgrid": False, "anchor": "y"}
        | {"tickvals": layers if wordy else None},
        yaxis={"domain": [split[1], 1], "tickvals": list(range(len(points)))}
        | {"ticktext": points, "autorange": "reversed", "showgrid": False},
        xaxis2={"title": {"text": "AUROC on held-out texts"}, "anchor": "y2"},
        yaxis2={"domain": [0, split[0]], "tickvals": list(range(len(rivals)))}
        | {"ticktext": [theme.wrapped(name, 30) for name, _ in rivals], "showgrid": False}
        | {"range": [len(rivals) - 0.4, -0.6], "anchor": "x2"},
        showlegend=False,
    )


def _rival_rows(sweep: ProbeSweep) -> list[tuple[str, Interval | None]]:
    """The best site and what it has to beat, each with its AUROC; shuffled labels have many."""
    rows: list[tuple[str, Interval | None]] = [(f"best site: {sweep.best.site}", sweep.best.auroc)]
    embedding = sweep.at("embed")
    if embedding is not None:
        rows.append(("embedding layer", embedding.auroc))
    rows += [(f"{kind.kind}: {kind.site}", kind.auroc) for kind in sweep.best_by_kind()]
    rows += [(rival.name, rival.auroc) for rival in sweep.rivals]
    return [*rows, ("shuffled labels", None)] if sweep.best.null else rows


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


def _dots(sweep: ProbeSweep, rivals: list[tuple[str, Interval | None]]) -> list[Any]:
    axes = {"xaxis": "x2", "yaxis": "y2", "mode": "markers"}
    placed = [(seen, i) for i, (_, seen) in enumerate(rivals) if seen is not None]
    values = [seen.value for seen, _ in placed]
    bars = theme.error_bars(values, [s.low for s, _ in placed], [s.high for s, _ in placed])
    dots = go.Scatter(
        x=values,
        y=[i for _, i in placed],
        marker={"size": 9, "color": [theme.BLUE] + [theme.GREY] * (len(placed) - 1)},
        error_x=bars | {"color": theme.GREY},
        customdata=[estimate(seen) for seen, _ in placed],
        hovertemplate="%{customdata}<extra></extra>",
        **axes,
    )
    if not sweep.best.null:
        return [dots]
    ticks = go.Scatter(
        x=list(sweep.best.null),
        y=[len(rivals) - 1] * len(sweep.best.null),
        marker={"symbol": "line-ns-open", "size": 12, "color": theme.GREY},
        hovertemplate="%{x:.3f}<extra></extra>",
        **axes,
    )
    return [dots, ticks]


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
