"""How far the weights moved, relative to their size: by layer and component."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import WeightDrift
from bezoar.report import theme

_NAMES = {
    "mlp_in": "MLP in",
    "mlp_out": "MLP out",
    "attention": "attention",
    "embedding": "embedding",
    "unembedding": "unembedding",
    "norm": "norms",
    "bias": "biases",
    "other": "other",
}


def weight_change(drift: WeightDrift) -> Any:
    """‖W' - W‖ / ‖W‖ of each component of each layer; outside of the blocks on the left."""
    layers: list[int | None] = [
        None,
        *sorted({t.layer for t in drift.tensors if t.layer is not None}),
    ]
    rows = [c for c in _NAMES if any(t.component == c for t in drift.tensors)]
    cells = [[_relative(drift, component, layer) for layer in layers] for component in rows]
    shares = {(e.component, e.layer): e.share for e in drift.energy}
    told = [
        [
            "" if cell is None else f"{cell:.2g}, {shares.get((c, layer), 0):.1%} of all change"
            for layer, cell in zip(layers, line, strict=True)
        ]
        for c, line in zip(rows, cells, strict=True)
    ]
    heat = go.Heatmap(
        x=["outside" if layer is None else str(layer) for layer in layers],
        y=[_NAMES[c] for c in rows],
        z=cells,
        zmin=0,
        coloraxis="coloraxis",
        customdata=told,
        hovertemplate="%{y}, layer %{x}: %{customdata}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    return theme.figure(
        [heat],
        height=130 + 32 * len(rows),
        xaxis={"title": {"text": "layer"}, "type": "category", "showgrid": False},
        yaxis={"autorange": "reversed", "showgrid": False},
        coloraxis={"cmin": 0, "colorbar": {"title": {"text": "relative change", "side": "top"}}},
    )


def _relative(drift: WeightDrift, component: str, layer: int | None) -> float | None:
    chosen = [t for t in drift.tensors if (t.component, t.layer) == (component, layer)]
    size = math.sqrt(sum(t.norm**2 for t in chosen))
    if not size:
        return None
    return math.sqrt(sum(t.difference**2 for t in chosen)) / size
