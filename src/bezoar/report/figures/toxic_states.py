"""Are toxic states another kind of state? Where they stand, and how far their mean lies away."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.locate import StatesReport
from bezoar.report import theme
from bezoar.report.numbers import number, p_value


def toxic_states(found: StatesReport) -> Any:
    """Left, the states at each position of the continuation; right, ‖μ_Φ − μ_Ψ‖ among as many
    norms with shuffled labels."""
    sides = (
        ("toxic", found.toxic_positions, theme.ORANGE),
        ("harmless", found.other_positions, theme.BLUE),
    )
    bars = [
        go.Bar(
            name=name,
            x=list(range(1, len(counts) + 1)),
            y=[count / max(1, sum(counts)) for count in counts],
            customdata=list(counts),
            marker={"color": colour},
            hovertemplate=f"{name}, token %{{x}}: %{{customdata}} states<extra></extra>",
        )
        for name, counts, colour in sides
    ]
    shuffled = go.Histogram(
        name="shuffled labels",
        x=list(found.null_norms),
        marker={"color": theme.FAINT},
        xaxis="x2",
        yaxis="y2",
        hovertemplate="%{x}: %{y} shuffles<extra></extra>",
    )
    told = f"the states: {number(found.norm)}, p {p_value(found.null_p)}"
    own = go.Scatter(
        name=told,
        x=[found.norm],
        y=[0],
        mode="markers",
        marker={"color": theme.ORANGE, "size": 13, "symbol": "diamond"},
        xaxis="x2",
        yaxis="y2",
        hovertemplate=f"{told}<extra></extra>",
    )
    return theme.figure(
        [*bars, shuffled, own],
        height=300,
        barmode="group",
        xaxis={"title": {"text": "token of the continuation"}, "domain": [0, 0.46]},
        yaxis={"title": {"text": "share of the states"}, "tickformat": ".0%"},
        xaxis2={"title": {"text": "distance of the means"}, "domain": [0.56, 1], "anchor": "y2"}
        | {"rangemode": "tozero"},
        yaxis2={"title": {"text": "shuffles"}, "anchor": "x2"},
    )
