"""How few latents tell the classes apart: AUROC of k-sparse probes by k."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.errors import NoFigure
from bezoar.report import theme
from bezoar.report.numbers import estimate
from bezoar.sae.quality_results import QualityTable


def sae_probing(table: QualityTable) -> Any:
    """AUROC on held-out texts by the number of latents, the one that is read closely in colour.

    Raises:
        NoFigure: if no autoencoder was probed.
    """
    rows = [row for row in table.rows if row.probing]
    if not rows:
        raise NoFigure("No autoencoder was probed.", hint="Give contest.sparse.")
    ks = sorted({one.k for row in rows for one in row.probing})
    rows = sorted(rows, key=lambda row: row.name == table.chosen)  # drawn last, on top
    traces = []
    for i, row in enumerate(rows):
        chosen = row.name == table.chosen
        colour = theme.ORANGE if chosen else theme.FAINT
        seen = [one.auroc for one in row.probing]
        values = [one.value for one in seen]
        bars = theme.error_bars(values, [s.low for s in seen], [s.high for s in seen], colour)
        traces.append(
            go.Scatter(
                name=theme.label(row.name) if chosen else "the others",
                legendgroup="chosen" if chosen else "others",
                showlegend=chosen or i == 0,
                x=[ks.index(one.k) for one in row.probing],
                y=values,
                mode="lines+markers",
                line={"color": colour, "width": 2.2 if chosen else 1.2},
                marker={"color": colour, "size": 8 if chosen else 5},
                error_y=bars if chosen else None,
                customdata=[
                    f"{theme.label(row.name)}, k = {one.k}: {estimate(one.auroc)}<br>latents "
                    + ", ".join(map(str, one.latents[:6]))
                    + (" …" if len(one.latents) > 6 else "")
                    for one in row.probing
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    return theme.figure(
        traces,
        height=360,
        xaxis={"title": {"text": "latents that a probe may read"}, "ticktext": list(map(str, ks))}
        | {"tickvals": list(range(len(ks)))},
        yaxis={"title": {"text": "AUROC on held-out texts"}, "tickformat": ".2f"},
        legend={"traceorder": "normal"},
    )
