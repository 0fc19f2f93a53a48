"""The geometry of an autoencoder: each latent by how it reads, how often it fires, and its bias."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from bezoar.report import theme
from bezoar.report.numbers import number, percent
from bezoar.sae.feature_results import FeatureTable

MOST = 4_000  # latents drawn
TOP = 20
GROUPS: tuple[tuple[str, float, float, str], ...] = (
    ("fires on less than 1 token in 10,000", -math.inf, -4.0, "circle-open"),
    ("up to 1 in 10", -4.0, -1.0, "circle"),
    ("1 in 10 or more", -1.0, math.inf, "square"),
)
"""Name, bounds of log10 density (from, and below) and symbol."""
SCALE = [[0.0, theme.GREY], [0.5, theme.BLUE], [1.0, theme.ORANGE]]


def sae_interpretability(table: FeatureTable) -> Any:
    """Cosine of encoder and decoder, log10 density and encoder bias; colour is the score.

    The area of a mark goes with its share of the reconstruction's variance; the twenty largest are
    diamonds with their own numbers. Latents that never fired have no density, and are counted in
    the title. Of many latents, those that contribute most are drawn.
    """
    alive = [i for i in range(len(table)) if table.density[i] > 0]
    ranked = sorted(alive, key=lambda i: -table.contribution[i])[:MOST]
    top, rest = ranked[:TOP], ranked[TOP:]
    traces: list[Any] = []
    for name, low, high, symbol in GROUPS:
        mine = [i for i in rest if low <= math.log10(table.density[i]) < high]
        traces += [
            _points(table, mine, name, symbol),
            _key(f"{name} ({len(mine):,})", name, symbol),
        ]
    name = f"the {len(top)} that contribute most"
    traces += [_points(table, top, name, "diamond"), _key(name, name, "diamond")]
    return theme.figure(
        traces,
        height=680,
        meta={"narrow": {"height": 560, "title.font.size": 12}},
        title=_title(table, len(alive), len(ranked)),
        dragmode="orbit",
        margin={"l": 0, "r": 0, "t": 96, "b": 0},
        legend={"traceorder": "normal", "y": 1.0},
        scene={
            "xaxis": {"title": {"text": "cosine of encoder and decoder"}},
            "yaxis": {"title": {"text": "log10 density"}},
            "zaxis": {"title": {"text": "encoder bias"}},
            "camera": {"eye": {"x": 1.15, "y": -1.35, "z": 0.55}, "center": {"z": -0.16}},
            "aspectmode": "cube",
        },
    )


def _title(table: FeatureTable, alive: int, drawn: int) -> dict[str, Any]:
    some = f" ({drawn:,} drawn)" if drawn < alive else ""
    text = (
        f"{table.name}: explained variance {number(table.explained_variance)}; {alive:,} latents "
        f"fire{some}, {len(table) - alive:,} never"
    )
    place = {"x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top"}
    return place | {"text": theme.wrapped(text, 96), "font": {"size": 14}, "pad": {"t": 8}}


def sizes(table: FeatureTable, latents: list[int]) -> list[float]:
    """``clip(6 + 38 √(contribution / largest), 3, 60)``, in units that the figure scales."""
    most = max(table.contribution, default=0.0) or 1.0
    return [
        min(60.0, max(3.0, 6 + 38 * math.sqrt(max(0.0, table.contribution[i]) / most)))
        for i in latents
    ]


def _points(table: FeatureTable, latents: list[int], name: str, symbol: str) -> Any:
    top = symbol == "diamond"
    marker = {
        "size": [round(size, 2) for size in sizes(table, latents)],
        "sizemode": "diameter",
        "sizeref": 2.2,
        "color": [round(table.interpretability[i], 4) for i in latents],
        "colorscale": SCALE,
        "cmin": 0,
        "cmax": 1,
        "showscale": top,
        "colorbar": {"title": {"text": "interpretability", "side": "right", "font": {"size": 12}}}
        | {"thickness": 10, "outlinewidth": 0, "len": 0.6},
        "symbol": symbol,
        "opacity": 0.9 if top else 0.6,
        "line": {"width": 0},
    }
    return go.Scatter3d(
        legendgroup=name,
        showlegend=False,
        x=[round(table.cosine[i], 4) for i in latents],
        y=[round(math.log10(table.density[i]), 4) for i in latents],
        z=[round(table.bias[i], 4) for i in latents],
        mode="markers+text" if top else "markers",
        text=[str(table.id[i]) for i in latents] if top else None,
        textfont={"size": 10},
        marker=marker,
        customdata=[_told(table, i) for i in latents],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _key(text: str, name: str, symbol: str) -> Any:
    """A line of the legend without a colour, for colour means something else."""
    return go.Scatter3d(
        name=text,
        legendgroup=name,
        x=[None],
        y=[None],
        z=[None],
        mode="markers",
        marker={"size": 8, "color": theme.GREY, "symbol": symbol},
        hoverinfo="skip",
    )


def _told(table: FeatureTable, i: int) -> str:
    return (
        f"latent {table.id[i]}<br>cosine {number(table.cosine[i])}, fires on "
        f"{percent(table.density[i], digits=3)}, bias {number(table.bias[i])}<br>"
        f"{percent(table.contribution[i], digits=2)} of the reconstruction, interpretability "
        f"{number(table.interpretability[i])}"
    )
