"""Several trained models: how far each moved from the base, and which of its parts did."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import Drifts, DriftSummary
from bezoar.report import theme

_PARTS: dict[str, tuple[str, ...]] = {
    "MLP in": ("mlp_in",),
    "MLP out": ("mlp_out",),
    "attention": ("attention",),
    "embeddings": ("embedding", "unembedding"),
    "biases, norms, other": ("bias", "norm", "other"),
}


def weight_drifts(found: Drifts) -> Any:
    """A bar an edit, as long as ‖W' - W‖ / ‖W‖, cut by the parts' shares of ‖W' - W‖²."""
    names = [theme.wrapped(row.name) for row in found.rows]
    bars = [
        go.Bar(
            name=part,
            y=names,
            x=[row.relative * _share(row, kinds) for row in found.rows],
            orientation="h",
            marker={"color": colour},
            customdata=[[_share(row, kinds), _told(row)] for row in found.rows],
            hovertemplate=f"{part}: %{{customdata[0]:.1%}} of the change"
            "<br>%{customdata[1]}<extra></extra>",
        )
        for (part, kinds), colour in zip(_PARTS.items(), theme.SERIES, strict=True)
    ]
    return theme.figure(
        bars,
        height=130 + 36 * len(names),
        barmode="stack",
        bargap=0.3,
        legend={"traceorder": "normal"},
        xaxis={"title": {"text": "relative change of all weights"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False},
    )


def _share(row: DriftSummary, kinds: tuple[str, ...]) -> float:
    return sum(row.components.get(kind, 0.0) for kind in kinds)


def _told(row: DriftSummary) -> str:
    rank = "" if row.stable_rank is None else f", stable rank {row.stable_rank:.1f}"
    return f"relative {row.relative:.2g}, cosine {row.cosine:.6f}{rank}"
