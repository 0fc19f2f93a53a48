"""How autoencoders learnt: variance explained, latents on a token, dead ones, by tokens seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.report import theme
from bezoar.report.figures.panels import places
from bezoar.report.numbers import number
from bezoar.sae.curves import TrainingCurve

DEAD = "latents that have died"
PANELS: tuple[tuple[str, Callable[[TrainingCurve], tuple[float, ...]]], ...] = (
    ("explained variance of the batch", lambda curve: curve.explained),
    ("latents that fire on a token", lambda curve: curve.l0),
    (DEAD, lambda curve: curve.dead),
)
HEIGHT, GAP = 260, 60  # pixels of a panel, and below it
_COLOURS = (*theme.SERIES[:4], "#c0467a", theme.GREY)
_DASHES = ("solid", "dash", "dot", "dashdot")


def sae_training(curves: TrainingCurve | Sequence[TrainingCurve]) -> Any:
    """Three panels by tokens trained on; colour is the autoencoder's spec, dashes the site.

    What lies below zero early in a training is cut off in the first panel.
    """
    curves = [curves] if isinstance(curves, TrainingCurve) else list(curves)
    specs = list(dict.fromkeys(curve.spec for curve in curves))
    sites = list(dict.fromkeys(curve.site for curve in curves))
    domains = places(len(PANELS), len(PANELS), height=HEIGHT, gap=GAP, between=0.07)
    traces: list[Any] = []
    layout: dict[str, Any] = {}
    for i, ((name, values), (across, down)) in enumerate(zip(PANELS, domains, strict=True)):
        n = "" if i == 0 else str(i + 1)
        for curve in curves:
            styles = specs.index(curve.spec), sites.index(curve.site)
            traces.append(_line(curve, values(curve), styles, n, legend=i == 0))
        layout[f"xaxis{n}"] = {
            "domain": across,
            "anchor": f"y{n}",
            "title": {"text": "tokens"},
            "nticks": 5,
        }
        layout[f"yaxis{n}"] = {"domain": down, "anchor": f"x{n}"} | (
            {"range": [0, 1.02]} if i == 0 else {"rangemode": "tozero"}
        )
        if name == DEAD:
            most = max((share for curve in curves for share in curve.dead), default=0.0)
            layout[f"yaxis{n}"] |= {"tickformat": ".0%", "range": [0, max(0.05, 1.1 * most)]}
    titles = [
        {"text": name, "x": across[0], "y": down[1], "xref": "paper", "yref": "paper"}
        | {"xanchor": "left", "yanchor": "bottom"}
        for (name, _), (across, down) in zip(PANELS, domains, strict=True)
    ]
    return theme.figure(
        traces,
        height=HEIGHT + 60 + 22 * (1 + len(curves) // 4),
        meta={"min_width": 760},
        annotations=titles,
        legend={"y": 1.1, "traceorder": "normal"},
        **layout,
    )


def _line(
    curve: TrainingCurve,
    values: tuple[float, ...],
    styles: tuple[int, int],
    n: str,
    *,
    legend: bool,
) -> Any:
    colour, dash = styles
    name = theme.label(f"{curve.site}, {curve.spec}")
    return go.Scatter(
        name=name,
        legendgroup=name,
        showlegend=legend,
        x=list(curve.tokens),
        y=[round(value, 5) for value in values],
        mode="lines",
        line={
            "color": _COLOURS[colour % len(_COLOURS)],
            "dash": _DASHES[dash % len(_DASHES)],
            "width": 1.6,
        },
        customdata=[f"{name}<br>{t:,} tokens: {number(v)}" for t, v in _pairs(curve, values)],
        hovertemplate="%{customdata}<extra></extra>",
        xaxis=f"x{n}",
        yaxis=f"y{n}",
    )


def _pairs(curve: TrainingCurve, values: tuple[float, ...]) -> list[tuple[int, float]]:
    return list(zip(curve.tokens, values, strict=True))
