"""How often latents fire: one histogram an autoencoder, on one axis of decades."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from bezoar.report import theme
from bezoar.report.figures.panels import places
from bezoar.sae.quality_results import QualityRow, QualityTable

COLUMNS, HEIGHT, GAP = 4, 96, 52  # panels beside one another; pixels of one, and below it
MOST = 24


def sae_density(table: QualityTable) -> Any:
    """Share of each autoencoder's latents by log10 of their density on held-out tokens.

    The bar apart at the left counts those that never fired. The one that is read closely is in
    another colour.
    """
    rows = table.rows[:MOST]
    domains = places(len(rows), COLUMNS, height=HEIGHT, gap=GAP, between=0.04)
    left = math.floor(min(_first(row) for row in rows)) - 1
    right = math.ceil(max(row.held_out.density.edges[-1] for row in rows))
    layout: dict[str, Any] = {}
    for i, (across, down) in enumerate(domains, start=1):
        n = "" if i == 1 else str(i)
        layout[f"xaxis{n}"] = {"domain": across, "anchor": f"y{n}", "range": [left, right]} | {
            "tickvals": list(range(left + 1, right + 1))
        }
        layout[f"yaxis{n}"] = {"domain": down, "anchor": f"x{n}", "showticklabels": False}
        layout[f"yaxis{n}"] |= {"showgrid": False}
    lines = -(-len(rows) // min(COLUMNS, len(rows)))
    return theme.figure(
        [_bars(row, i, left, row.name == table.chosen) for i, row in enumerate(rows, start=1)],
        height=60 + lines * (HEIGHT + GAP),
        meta={"min_width": 720 if len(rows) > 1 else 0},
        annotations=[_title(row, domains[i]) for i, row in enumerate(rows)],
        showlegend=False,
        bargap=0.0,
        **layout,
    )


def _first(row: QualityRow) -> float:
    """Where the first bin that holds a latent begins."""
    seen = row.held_out.density
    return next((a for a, n in zip(seen.edges, seen.counts, strict=False) if n), seen.edges[-1])


def _bars(row: QualityRow, i: int, left: int, chosen: bool) -> Any:
    seen, n = row.held_out.density, "" if i == 1 else str(i)
    edges, total = seen.edges, sum(seen.counts) + seen.dead or 1
    starts = [left + 0.25, *edges[:-1]]
    widths = [0.5, *(b - a for a, b in pairwise(edges))]
    counts = [seen.dead, *seen.counts]
    told = [f"{seen.dead:,} latents never fire"] + [
        f"{count:,} latents fire on 10^{a:.1f} to 10^{b:.1f} of tokens"
        for count, (a, b) in zip(seen.counts, pairwise(edges), strict=True)
    ]
    colour = theme.ORANGE if chosen else theme.BLUE
    return go.Bar(
        x=starts,
        y=[count / total for count in counts],
        width=widths,
        offset=0,
        marker={"color": [theme.GREY, *[colour] * len(seen.counts)]},
        customdata=told,
        hovertemplate="%{customdata}<extra></extra>",
        xaxis=f"x{n}",
        yaxis=f"y{n}",
    )


def _title(row: QualityRow, domain: tuple[list[float], list[float]]) -> dict[str, Any]:
    across, down = domain
    place = {"x": across[0], "y": down[1], "xref": "paper", "yref": "paper"}
    text = theme.label(row.name)
    return place | {"text": text, "xanchor": "left", "yanchor": "bottom"}
