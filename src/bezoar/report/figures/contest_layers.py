"""Where in the model readers read best: AUROC by layer, of latents and of plain activations."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.errors import NoFigure
from bezoar.evaluate.contest_results import Contest, ContestRow, Family
from bezoar.models.sites import Site
from bezoar.report import theme
from bezoar.report.figures.contest import COLOURS
from bezoar.report.numbers import estimate

KINDS = ("all", "mean difference")
_DASHES = ("solid", "dot", "dash", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "x", "cross", "triangle-up")


def contest_layers(found: Contest) -> Any:
    """AUROC on held-out texts by layer, one line for everything that is the same but the layer.

    Readers of all latents or dimensions and mean differences; the table has the others. Bars are
    95 % intervals.

    Raises:
        NoFigure: if no reader of states or latents was there at two layers.
    """
    lines: dict[tuple[Family, str], list[tuple[int, ContestRow]]] = {}
    for row in found.rows:
        layer = Site.parse(row.site).layer if row.site else None
        if layer is not None and row.kind in KINDS:
            lines.setdefault((row.family, _name(row)), []).append((layer, row))
    layers = sorted({layer for line in lines.values() for layer, _ in line})
    if len(layers) < 2:
        raise NoFigure("The contest has readers of one layer.", hint="Give more --sites.")
    seen: dict[Family, int] = {}
    traces = []
    for (family, name), line in lines.items():
        seen[family] = seen.get(family, -1) + 1
        traces.append(_line(name, family, sorted(line, key=lambda one: one[0]), seen[family]))
    return theme.figure(
        traces,
        height=400 + 20 * (len(traces) // 4),
        meta={"narrow": {"height": 460 + 20 * len(traces)}},
        xaxis={"title": {"text": "layer"}, "tickvals": layers if len(layers) <= 32 else None},
        yaxis={"title": {"text": "AUROC on held-out texts"}, "tickformat": ".2f"},
        legend={"traceorder": "normal"},
    )


def _name(row: ContestRow) -> str:
    """What a reader is, without its layer."""
    site = Site.parse(row.site)
    named = row.reader.replace(str(site), site.point, 1)
    return named if row.kind == "all" else f"{named}: {row.kind}"


def _line(name: str, family: Family, line: list[tuple[int, ContestRow]], style: int) -> Any:
    values = [row.auroc.value for _, row in line]
    bars = theme.error_bars(
        values,
        [row.auroc.low for _, row in line],
        [row.auroc.high for _, row in line],
        COLOURS[family],
    )
    return go.Scatter(
        name=theme.label(name),
        x=[layer for layer, _ in line],
        y=values,
        mode="lines+markers",
        line={"color": COLOURS[family], "dash": _DASHES[style % len(_DASHES)], "width": 1.8},
        marker={"color": COLOURS[family], "symbol": _SYMBOLS[style % len(_SYMBOLS)], "size": 7},
        error_y=bars | {"thickness": 0.8},
        customdata=[f"{theme.wrapped(row.label, 50)}<br>{estimate(row.auroc)}" for _, row in line],
        hovertemplate="%{customdata}<extra></extra>",
    )
