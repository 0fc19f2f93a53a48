"""How faithful autoencoders are: what they keep of states and of the model's loss, by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.models.sites import Site
from bezoar.report import theme
from bezoar.report.figures.panels import places
from bezoar.report.numbers import number
from bezoar.sae.quality_results import QualityRow, QualityTable

DEAD = "latents that never fire"
PANELS: tuple[tuple[str, Callable[[QualityRow], float | None]], ...] = (
    ("explained variance", lambda row: row.held_out.explained_variance),
    ("loss recovered (against zeros)", lambda row: row.loss.recovered if row.loss else None),
    ("latents that fire on a token", lambda row: row.held_out.l0),
    (DEAD, lambda row: row.trained.dead_share),
)
HEIGHT, GAP = 190, 70  # pixels of a panel, and below it
_COLOURS = (*theme.SERIES[:4], "#c0467a", theme.GREY)
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star", "pentagon")


def sae_quality(table: QualityTable) -> Any:
    """Four panels by layer, held-out tokens; one line for an architecture at one kind of site.

    Those of other seeds or options at the same layer are points beside the line, which goes
    through the first of them. The ring is the one that is read closely.
    """
    kinds = list(dict.fromkeys(map(_kind_of, table.rows)))
    domains = places(len(PANELS), 2, height=HEIGHT, gap=GAP, between=0.1)
    traces: list[Any] = []
    layout: dict[str, Any] = {}
    for i, ((name, value), (across, down)) in enumerate(zip(PANELS, domains, strict=True)):
        n = "" if i == 0 else str(i + 1)
        for k, kind in enumerate(kinds):
            rows = [row for row in table.rows if _kind_of(row) == kind]
            traces += _lines(rows, value, k, n, first=i == 0, chosen=table.chosen)
        layout[f"xaxis{n}"] = {"domain": across, "anchor": f"y{n}", "title": {"text": "layer"}} | {
            "tickvals": _layers(table.rows)
        }
        layout[f"yaxis{n}"] = {"domain": down, "anchor": f"x{n}"}
        if name == DEAD:
            most = max((row.trained.dead_share for row in table.rows), default=0.0)
            layout[f"yaxis{n}"] |= {"tickformat": ".0%", "range": [0, max(0.05, 1.1 * most)]}
    titles = [
        {"text": name, "x": across[0], "y": down[1], "xref": "paper", "yref": "paper"}
        | {"xanchor": "left", "yanchor": "bottom"}
        for (name, _), (across, down) in zip(PANELS, domains, strict=True)
    ]
    return theme.figure(
        traces,
        height=120 + 2 * HEIGHT + GAP,
        meta={"min_width": 620},
        annotations=titles,
        legend={"y": 1.06, "traceorder": "normal"},
        margin={"l": 8, "r": 16, "t": 60, "b": 8},
        **layout,
    )


def layer_of(site: str) -> int:
    """The layer of a site, −1 for the embeddings."""
    layer = Site.parse(site).layer
    return -1 if layer is None else layer


def _kind_of(row: QualityRow) -> tuple[str, str]:
    """Architecture and point of the layer."""
    return row.architecture, Site.parse(row.site).point


def _layers(rows: Sequence[QualityRow]) -> list[int]:
    return sorted({layer_of(row.site) for row in rows})


def _lines(
    rows: list[QualityRow],
    value: Callable[[QualityRow], float | None],
    k: int,
    n: str,
    *,
    first: bool,
    chosen: str,
) -> list[Any]:
    """A line in a panel, and what lies beside it."""
    placed = [(layer_of(row.site), row, seen) for row in rows if (seen := value(row)) is not None]
    line: dict[int, tuple[int, QualityRow, float]] = {}
    for one in placed:
        line.setdefault(one[0], one)
    ordered = sorted(line.values(), key=lambda one: one[0])
    beside = [one for one in placed if one not in ordered]
    name = theme.label(", ".join(_kind_of(rows[0])))
    colour, symbol = _COLOURS[k % len(_COLOURS)], _SYMBOLS[k % len(_SYMBOLS)]
    shared = {"xaxis": f"x{n}", "yaxis": f"y{n}", "legendgroup": name}
    shared |= {"hovertemplate": "%{customdata}<extra></extra>"}
    found = []
    for part, mode in ((ordered, "lines+markers"), (beside, "markers")):
        if not part:
            continue
        rings = [row.name == chosen for _, row, _ in part]
        marker: dict[str, Any] = {"color": colour, "symbol": symbol}
        marker |= {"size": [11 if ring else 7 for ring in rings]}
        marker |= {"line": {"width": [3 if ring else 0 for ring in rings], "color": theme.ORANGE}}
        found.append(
            go.Scatter(
                name=name,
                showlegend=first and part is ordered,
                x=[layer for layer, *_ in part],
                y=[seen for *_, seen in part],
                mode=mode,
                line={"color": colour, "width": 1.6},
                marker=marker,
                customdata=[f"{theme.label(row.name)}: {number(seen)}" for _, row, seen in part],
                **shared,
            )
        )
    return found
