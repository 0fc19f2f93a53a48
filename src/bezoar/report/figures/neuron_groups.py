"""Which neurons made the change along a direction: eight groups (Yang et al. 2025)."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import Contributions
from bezoar.report import theme
from bezoar.report.numbers import number

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
    """Two bars a group: what coefficients did, and what moved value vectors added.

    All bars together sum to the change of all neurons.
    """
    groups = [g for g in found.groups if g.neurons][::-1]
    parts = (
        ("coefficients (Δa·v)", theme.BLUE, [g.coefficients for g in groups]),
        ("value vectors (the rest)", theme.ORANGE, [g.change - g.coefficients for g in groups]),
    )
    bars = [
        go.Bar(
            name=name,
            x=values,
            y=[_name(g.name) for g in groups],
            orientation="h",
            marker={"color": colour},
            customdata=[[f"{g.neurons:,}", g.change] for g in groups],
            hovertemplate="%{customdata[0]} neurons: %{x:+.4f} of %{customdata[1]:+.4f}"
            "<extra></extra>",
        )
        for name, colour, values in parts
    ]
    along = f"change along {theme.label(found.direction)}"
    return theme.figure(
        bars,
        height=190 + 34 * len(groups),
        barmode="relative",
        legend={"traceorder": "normal"},
        xaxis={"title": {"text": f"{along}<br>{_told(found)}"}}
        | {"zeroline": True, "zerolinecolor": theme.GREY},
        yaxis={"showgrid": False},
    )


def _told(found: Contributions) -> str:
    whole = f"all {found.neurons_n:,} neurons: {number(found.neurons, signed=True)}"
    if (share := found.toxic_share) is None:
        return whole
    told = f"{whole}<br>the {found.toxic_n} most toxic: {share.value:.0%} of it"
    if not found.random_shares:
        return told
    mean = sum(found.random_shares) / len(found.random_shares)
    return f"{told}, as many at random: {mean:.0%}"


def _name(group: str) -> str:
    return f"{group.replace('-', '−')}  {_WORDS[group]}"
