"""Figure 6 of EigenShift: are the layers whose clusters lie apart those that tell the classes?"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.locate import ClusterScore, LayerExperts, LayersReport
from bezoar.report import theme
from bezoar.report.numbers import estimate, number

_SYMBOLS = {"k-means": "circle", "hierarchical": "diamond-open"}


def experts_figure_6_auroc_silhouette(found: LayersReport) -> Any:
    """AUROC of clusters, matched as published, against their silhouette: a point a layer.

    The dashed line is the 95th percentile of what matching gains from shuffled labels, the largest
    of all layers.

    Raises:
        TypeError: if no layer has two clusters.
    """
    traces = [
        _points(one, method, theme.SERIES[number % len(theme.SERIES)])
        for number, one in enumerate(found.experts)
        for method in _SYMBOLS
    ]
    traces = [trace for trace in traces if trace.x]
    if not traces:
        raise TypeError("No layer parts the texts in two.")
    high = max(layer.kmeans.null_high for one in found.experts for layer in one.layers)
    line = {"dash": "dash", "width": 1, "color": theme.GREY}
    note = {"x": 1, "xref": "paper", "xanchor": "right", "y": high, "yanchor": "bottom"}
    return theme.figure(
        traces,
        height=420,
        meta={"narrow": {"height": 480}},
        shapes=[
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": high, "y1": high}
            | {"line": line}
        ],
        annotations=[note | {"text": "matched by chance, 95th percentile"}],
        xaxis={"title": {"text": "silhouette of the two clusters"}},
        yaxis={"title": {"text": "AUROC of the clusters, matched"}},
    )


def _points(one: LayerExperts, method: str, colour: str) -> Any:
    seen = [
        (layer.layer, score)
        for layer in one.layers
        if (score := layer.kmeans if method == "k-means" else layer.hierarchical).silhouette
        is not None
    ]
    values = [score.matched.value for _, score in seen]
    lows, highs = ([getattr(s.matched, side) for _, s in seen] for side in ("low", "high"))
    name = theme.label(f"{one.model} on {one.corpus}, {method}")
    return go.Scatter(
        name=name,
        x=[score.silhouette for _, score in seen],
        y=values,
        mode="markers+text",
        text=[str(layer) for layer, _ in seen],
        textposition="middle right",
        textfont={"size": 10},
        marker={"color": colour, "symbol": _SYMBOLS[method], "size": 9},
        error_y=theme.error_bars(values, lows, highs, colour) | {"thickness": 1},
        customdata=[_hover(layer, score) for layer, score in seen],
        hovertemplate=f"{name}<br>%{{customdata}}<extra></extra>",
    )


def _hover(layer: int, score: ClusterScore) -> str:
    length = (
        ""
        if score.length_auroc is None
        else (f"<br>of whether the text is long: {number(score.length_auroc)}")
    )
    return f"layer {layer}: {estimate(score.matched)}{length}"
