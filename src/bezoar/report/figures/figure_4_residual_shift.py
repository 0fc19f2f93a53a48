"""Figures 4 and 6 of Lee et al. 2024: the residual stream moves one way, prompt by prompt."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import ResidualShift
from bezoar.report import theme

SHOWN = 30  # prompts, as in the paper


def figure_4_residual_shift(found: ResidualShift) -> Any:
    """Circles are the base's states, triangles the edited model's; dotted lines join prompts.

    Colour is the coefficient of the neuron, if one was followed.
    """
    points = found.points[:SHOWN]
    joints = go.Scatter(
        x=[x for p in points for x in (p.base_x, p.edited_x, None)],
        y=[y for p in points for y in (p.base_y, p.edited_y, None)],
        mode="lines",
        line={"color": theme.FAINT, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
        connectgaps=False,
    )
    base = [(p.base_x, p.base_y, p.base_coefficient) for p in points]
    edited = [(p.edited_x, p.edited_y, p.edited_coefficient) for p in points]
    followed = bool(found.neuron)
    extra: dict[str, Any] = {}
    if followed:
        title = {"text": f"coefficient<br>of {found.neuron}", "side": "top"}
        extra["coloraxis"] = {"colorbar": {"title": title, "len": 0.9}}
    along = "along δ" if found.mode == "code" else "distance from the base’s mean, along δ"
    return theme.figure(
        [
            joints,
            *_states(found.base_name, base, "circle", theme.BLUE, followed),
            *_states(found.edited_name, edited, "triangle-up", theme.ORANGE, followed),
        ],
        height=400,
        xaxis={"title": {"text": f"{found.site}: {along}"}, "showgrid": False},
        yaxis={"title": {"text": f"first component ({found.explained[0]:.0%} of variance)"}},
        **extra,
    )


def _states(
    name: str,
    rows: list[tuple[float, float, float | None]],
    symbol: str,
    colour: str,
    followed: bool,
) -> list[Any]:
    marker: dict[str, Any] = {"size": 9, "symbol": symbol, "color": colour}
    # In a legend, markers with colours of their own would all be black.
    key = go.Scatter(name=theme.label(name), x=[None], y=[None], mode="markers", marker=marker)
    hover = "prompt %{customdata[0]}<extra></extra>"
    if followed:
        marker |= {"color": [row[2] for row in rows], "coloraxis": "coloraxis"}
        marker |= {"line": {"width": 1.5, "color": colour}}
        hover = "prompt %{customdata[0]}: coefficient %{marker.color:.3f}<extra></extra>"
    states = go.Scatter(
        name=theme.label(name),
        showlegend=not followed,
        x=[row[0] for row in rows],
        y=[row[1] for row in rows],
        mode="markers",
        marker=marker,
        customdata=[[i + 1] for i in range(len(rows))],
        hovertemplate=hover,
    )
    return [key, states] if followed else [states]
