"""Layer by layer: do clusters of texts agree with the labels, and what of the same rows does?"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import plotly.graph_objects as go

from bezoar.locate import ClusterScore, LayerExperts, LayerScore, ReaderScore
from bezoar.report import theme
from bezoar.report.numbers import estimate, number
from bezoar.stats import Interval

_LINES: tuple[tuple[str, str, str, str], ...] = (
    ("k-means", theme.BLUE, "solid", "circle"),
    ("hierarchical", theme.BLUE, "dot", "circle-open"),
    ("best neuron", theme.ORANGE, "solid", "diamond"),
    ("mean neuron", theme.ORANGE, "dot", "diamond-open"),
    ("mean difference", theme.PURPLE, "dot", "square-open"),
    ("probe", theme.PURPLE, "solid", "square"),
)
"""Name, colour, dash and symbol of each line."""

_NUMBERED = 16  # layers up to which each has its number below the axis

_SCORES: dict[str, Callable[[LayerScore], ClusterScore | ReaderScore]] = {
    "k-means": attrgetter("kmeans"),
    "hierarchical": attrgetter("hierarchical"),
    "best neuron": attrgetter("best_neuron"),
    "mean difference": attrgetter("mean_difference"),
    "probe": attrgetter("probe"),
}


def layer_experts(found: LayerExperts) -> Any:
    """Balanced accuracy of verdicts by layer, with 95 % intervals by text.

    A cluster's verdict is which cluster a text is in, a reader's which side of its cut. The band is
    what matching clusters to shuffled labels gains: from its mean to its 95th percentile.
    """
    x = [one.layer for one in found.layers]
    lines = [_line(found, *style) for style in _LINES]
    low = [one.kmeans.null_mean for one in found.layers]
    high = [one.kmeans.null_high for one in found.layers]
    band = [
        {"x": x, "y": low, "showlegend": False},
        {
            "x": x,
            "y": high,
            "fill": "tonexty",
            "fillcolor": theme.BAND,
            "name": "matched by chance",
        },
    ]
    shared = {"mode": "lines", "line": {"width": 0, "shape": "linear"}, "hoverinfo": "skip"}
    note = (
        []
        if not found.caveat
        else [
            {"x": 1, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "top"}
            | {"text": theme.wrapped(found.caveat, 44), "align": "right"}
        ]
    )
    chance = {"dash": "dot", "width": 1, "color": theme.GREY}
    return theme.figure(
        [*(go.Scatter(part | shared) for part in band), *lines],
        height=400,
        meta={"narrow": {"height": 460}},
        annotations=note,
        legend={"traceorder": "normal"},
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": 0.5,
                "y1": 0.5,
                "line": chance,
            }
        ],
        xaxis={"title": {"text": "layer"}, "tickvals": x if len(x) <= _NUMBERED else None},
        yaxis={"title": {"text": "balanced accuracy of verdicts"}, "tickformat": ".2f"},
    )


def _line(found: LayerExperts, name: str, colour: str, dash: str, symbol: str) -> Any:
    seen = [_verdicts(one, name) for one in found.layers]
    values = [interval.value for interval in seen]
    bars = theme.error_bars(values, [s.low for s in seen], [s.high for s in seen], colour)
    return go.Scatter(
        name=name,
        x=[one.layer for one in found.layers],
        y=values,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 1.8},
        marker={"color": colour, "symbol": symbol, "size": 7},
        error_y=bars | {"thickness": 1},
        customdata=[
            f"{estimate(interval)}{_more(one, name)}"
            for one, interval in zip(found.layers, seen, strict=True)
        ],
        hovertemplate=f"layer %{{x}}, {name}: %{{customdata}}<extra></extra>",
    )


def _verdicts(one: LayerScore, name: str) -> Interval:
    if name not in _SCORES:
        return one.mean_neuron.halved
    seen = _SCORES[name](one)
    return seen.auroc if isinstance(seen, ClusterScore) else seen.balanced_accuracy


def _more(one: LayerScore, name: str) -> str:
    if name not in _SCORES:
        return ""
    seen = _SCORES[name](one)
    more = f"<br>unit {one.best_neuron.unit}" if name == "best neuron" else ""
    if seen.equal_length is not None:
        more += f"<br>on texts of equal length: {estimate(seen.equal_length)}"
    if isinstance(seen, ClusterScore) and seen.length_auroc is not None:
        more += f"<br>of whether the text is long: {number(seen.length_auroc)}"
    return more
