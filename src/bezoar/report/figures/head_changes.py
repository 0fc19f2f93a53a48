"""Which attention heads write more, or less, of it: one cell a head."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import HeadContributions
from bezoar.report import theme
from bezoar.report.numbers import estimate, p_value

LEVEL = 0.05


def head_changes(found: HeadContributions) -> Any:
    """Edited minus base; a dot marks the heads that changed at a false discovery rate of 5 %."""
    layers = max(h.layer for h in found.heads) + 1
    heads = max(h.head for h in found.heads) + 1
    rows: list[list[float | None]] = [[None] * heads for _ in range(layers)]
    told = [[""] * heads for _ in range(layers)]
    for h in found.heads:
        rows[h.layer][h.head] = h.change.value
        change = f"{estimate(h.change, signed=True)}, adjusted p {p_value(h.adjusted_p)}"
        told[h.layer][h.head] = (
            f"head {h.layer}.{h.head}: {h.base:.3f} → {h.edited:.3f}<br>{change}"
        )
    reach = max(abs(h.change.value) for h in found.heads) or 1.0
    cells = go.Heatmap(
        x=list(range(heads)),
        y=list(range(layers)),
        z=rows,
        zmin=-reach,
        zmax=reach,
        colorscale=[[0, theme.BLUE], [0.5, "rgba(132,139,148,0.10)"], [1, theme.ORANGE]],
        colorbar={"thickness": 10, "outlinewidth": 0, "title": {"text": "change", "side": "top"}},
        customdata=told,
        hovertemplate="%{customdata}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    traces: list[Any] = [cells]
    changed = [h for h in found.heads if h.adjusted_p <= LEVEL]
    if changed:
        traces.append(
            go.Scatter(
                name="changed (false discovery rate 5 %)",
                x=[h.head for h in changed],
                y=[h.layer for h in changed],
                mode="markers",
                marker={"size": 5, "color": theme.GREY},
                hoverinfo="skip",
                showlegend=True,
            )
        )
    of = "logit of" if found.logit else "along"
    return theme.figure(
        traces,
        height=130 + 26 * max(layers, 4),
        xaxis={"title": {"text": f"head ({of} {theme.label(found.target)})"}, "showgrid": False}
        | {"dtick": 1 if heads <= 16 else 4},
        yaxis={"title": {"text": "layer"}, "showgrid": False, "dtick": 1 if layers <= 16 else 4},
    )
