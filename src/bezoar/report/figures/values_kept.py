"""Do the toxic value vectors remain? Their cosine to the direction, before and after, by rank."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import KeptValue, ValuesKept
from bezoar.report import theme


def values_kept(found: ValuesKept) -> Any:
    """A circle a vector before, a cross after; a vector that stayed has its cross in its circle."""
    vectors = found.vectors
    ranks = [v.rank + 1 for v in vectors]
    told = [[_told(v)] for v in vectors]
    sides = (
        (found.base_name, [v.toxic for v in vectors], "circle-open", theme.BLUE, 9),
        (found.edited_name, [v.edited_toxic for v in vectors], "x-thin-open", theme.ORANGE, 6),
    )
    traces = [
        go.Scatter(
            name=theme.label(name),
            x=ranks,
            y=cosines,
            mode="markers",
            marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": 1.5}},
            customdata=told,
            hovertemplate="%{customdata[0]}<br>cosine to the direction %{y:.3f}<extra></extra>",
        )
        for name, cosines, symbol, colour, size in sides
    ]
    return theme.figure(
        traces,
        height=300,
        xaxis={"title": {"text": f"rank in {theme.label(found.base_name)}"}, "showgrid": False},
        yaxis={"title": {"text": f"cosine to {theme.label(found.direction)}"}},
    )


def _told(v: KeptValue) -> str:
    rank = "no more among them" if v.edited_rank is None else f"now {v.edited_rank + 1}"
    tokens = "" if v.tokens is None else f", {v.tokens:.0%} of its tokens kept"
    return f"{v} (rank {v.rank + 1}, {rank}): moved by {v.relative:.2%}{tokens}"
