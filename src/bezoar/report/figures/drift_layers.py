"""Several trained models: in which layers each of them moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models.drifts import OUTSIDE, DriftSummary
from bezoar.report import theme
from bezoar.report.numbers import percent


def drift_layers(rows: Sequence[DriftSummary]) -> Any:
    """Shares of ‖W' - W‖² by layer, a row a model; outside of the blocks on the left.

    Raises:
        TypeError: if none moved.
    """
    found = {layer for row in rows for layer in row.layers}
    if not found:
        raise TypeError("No weight moved.")
    blocks = range(1 + max((int(layer) for layer in found - {OUTSIDE}), default=-1))
    layers = [OUTSIDE, *map(str, blocks)]
    shares = [[row.layers.get(layer, 0.0) for layer in layers] for row in rows]
    heat = go.Heatmap(
        x=layers,
        y=[theme.wrapped(row.name) for row in rows],
        z=shares,
        coloraxis="coloraxis",
        text=[
            [percent(share, digits=0) if share >= 0.005 else "" for share in line]
            for line in shares
        ],
        texttemplate="%{text}" if len(layers) <= 16 else None,
        hovertemplate="%{y}, layer %{x}: %{z:.1%} of all change<extra></extra>",
        xgap=2,
        ygap=2,
    )
    return theme.figure(
        [heat],
        height=150 + 34 * len(rows),
        xaxis={"title": {"text": "layer"}, "type": "category", "showgrid": False},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False},
        coloraxis={"cmin": 0}
        | {"colorbar": {"title": {"text": "share of ‖ΔW‖²", "side": "top"}, "tickformat": ".0%"}},
    )
