"""The data: how long the texts of each class are. Where they differ, they are easy to tell."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.corpus import Exploration
from bezoar.corpus.explore import Lengths
from bezoar.report import theme
from bezoar.report.figures.class_counts import CLASSES, COLOURS

_FILLS = ("rgba(47,126,216,0.15)", "rgba(217,112,0,0.15)")


def text_lengths(exploration: Exploration) -> Any:
    """Share of each class by length, on a logarithmic axis; in tokens if they were counted."""
    lengths = exploration.lengths[-1]
    steps = [_steps(lengths, label) for label in (0, 1)]
    return theme.figure(
        steps,
        height=320,
        xaxis={"title": {"text": f"length in {lengths.unit}"}, "type": "log", "showgrid": False}
        | {"tickvals": [m * 10**e for e in range(6) for m in (1, 2, 5)]},
        yaxis={"title": {"text": "share of the class, %"}, "rangemode": "tozero"},
    )


def _steps(lengths: Lengths, label: int) -> Any:
    counts = lengths.counts[label]
    total = sum(counts) or 1
    shares = [100 * count / total for count in counts]
    edges = [max(edge, 0.5) for edge in lengths.edges]  # an empty text has a place on a log axis
    return go.Scatter(
        name=CLASSES[label],
        x=edges,
        y=[*shares, shares[-1]],
        mode="lines",
        line={"color": COLOURS[label], "width": 1.6, "shape": "hv"},
        fill="tozeroy",
        fillcolor=_FILLS[label],
        hovertemplate="from %{x:.0f}: %{y:.1f} %<extra></extra>",
    )
