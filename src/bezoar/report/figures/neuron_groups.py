"""Which neurons made the change along a direction: eight groups (Yang et al. 2025)."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import Contributions
from bezoar.report import theme

_WORDS = {
    "TP-": "towards it, fire less",
    "TN+": "towards it, further below zero",
    "AP+": "against it, fire more",
    "AN-": "against it, less below zero",
    "TP+": "towards it, fire more",
    "TN-": "towards it, less below zero",
    "AP-": "against it, fire less",
    "AN+": "against it, further below zero",
    "unchanged": "coefficient unchanged",
}


def neuron_groups(found: Contributions) -> Any:
    """Bars of the groups' summed changes; they sum to the change of all neurons."""
    groups = [g for g in found.groups if g.neurons][::-1]
    bars = go.Bar(
        x=[g.change for g in groups],
        y=[_name(g.name) for g in groups],
        orientation="h",
        marker={"color": [theme.BLUE if g.change < 0 else theme.ORANGE for g in groups]},
        customdata=[[f"{g.neurons:,}"] for g in groups],
        hovertemplate="%{customdata[0]} neurons: %{x:+.4f}<extra></extra>",
        showlegend=False,
    )
    shares = ""
    if (share := found.toxic_share) is not None:
        shares = (
            f"the {found.toxic_n} most toxic neurons make {share.value:.0%} "
            f"[{share.low:.0%}, {share.high:.0%}] of it"
        )
        if found.random_shares:
            mean = sum(found.random_shares) / len(found.random_shares)
            shares += f", as many random ones {mean:.0%}"
    text = f"all {found.neurons_n:,} neurons {found.neurons:+.3g}; {shares}".rstrip("; ")
    above = {"xref": "paper", "yref": "paper", "x": 0, "y": 1.02, "yanchor": "bottom"}
    return theme.figure(
        [bars],
        height=110 + 30 * len(groups),
        annotations=[above | {"xanchor": "left", "align": "left", "text": text}],
        xaxis={"title": {"text": f"change along {theme.label(found.direction)}"}}
        | {"zeroline": True, "zerolinecolor": theme.GREY},
        yaxis={"showgrid": False},
    )


def _name(group: str) -> str:
    return f"{group.replace('-', '−')}  {_WORDS[group]}"
