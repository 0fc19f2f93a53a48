"""The data: how many texts of each source and class."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.corpus import Exploration
from bezoar.report import theme

CLASSES = ("label 0", "label 1 (the behaviour)")
COLOURS = (theme.BLUE, theme.ORANGE)
ROWS = 16


def class_counts(exploration: Exploration) -> Any:
    """Stacked bars, one for each source and category, the largest on top."""
    sizes: dict[str, list[int]] = {}
    unnamed = "all texts" if not any(g.source or g.category for g in exploration.counts) else "none"
    for group in exploration.counts:
        name = " / ".join(part for part in (group.source, group.category) if part) or unnamed
        sizes.setdefault(name, [0, 0])[group.label] += group.n
    ranked = sorted(sizes, key=lambda name: (-sum(sizes[name]), name))
    shown, rest = ranked[:ROWS], ranked[ROWS:]
    if rest:
        others = f"{len(rest)} others"
        sizes[others] = [sum(sizes[name][label] for name in rest) for label in (0, 1)]
        shown = [*shown, others]
    bars = [
        go.Bar(
            name=CLASSES[label],
            x=[sizes[name][label] for name in shown],
            y=list(range(len(shown))),
            orientation="h",
            marker={"color": COLOURS[label]},
            hovertemplate="%{x:,} texts<extra></extra>",
        )
        for label in (0, 1)
    ]
    ticks = {"tickvals": list(range(len(shown))), "ticktext": [theme.wrapped(n, 28) for n in shown]}
    return theme.figure(
        bars,
        height=120 + 34 * len(shown),
        barmode="stack",
        legend={"traceorder": "normal"},
        bargap=0.4,
        xaxis={"title": {"text": "texts"}},
        yaxis={**ticks, "autorange": "reversed", "showgrid": False},
    )
