"""Which layers write along a direction: the cosine of the value vectors by rank."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.locate import ValueRanking
from bezoar.report import theme


def value_ranking(found: ValueRanking) -> Any:
    """A dot a value vector, coloured by its layer; hovering names the neuron."""
    entries = found.entries
    layers = [entry.layer for entry in entries]
    dots = go.Scatter(
        x=[entry.rank + 1 for entry in entries],
        y=[entry.cosine for entry in entries],
        mode="markers",
        marker={"size": 8, "color": layers, "coloraxis": "coloraxis"}
        | {"line": {"width": 1, "color": theme.FAINT}},
        customdata=[[str(entry), entry.norm] for entry in entries],
        hovertemplate="%{customdata[0]}: cosine %{y:.3f}, norm %{customdata[1]:.3g}<extra></extra>",
    )
    bounds = {"cmin": 0, "cmax": max([1, *layers])}
    return theme.figure(
        [dots],
        height=300,
        xaxis={"title": {"text": "rank"}, "showgrid": False},
        yaxis={"title": {"text": f"cosine to {theme.label(found.direction)}"}},
        coloraxis=bounds | {"colorbar": {"title": {"text": "layer", "side": "top"}}},
    )
