"""The data: how many texts there are of each source and category, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go

from bezoar.corpus.explore_survey import Cell, Survey
from bezoar.report import theme

SHOWN = 12
COLOURS = (
    *theme.SERIES,
    "#b5446e",
    "#6c8a1f",
    "#3a5f9e",
    "#a65e2e",
    "#4f9aa8",
    "#7d6b5d",
    "#b8a12c",
)


def survey_counts(survey: Survey | Sequence[Cell]) -> Any:
    """Grouped bars: a group for each category, in it a bar for each source."""
    cells = survey.cells if isinstance(survey, Survey) else survey
    sources, categories, counts, _ = grid(cells)
    bars = [
        go.Bar(
            name=theme.label(source),
            x=list(range(len(categories))),
            y=[counts[source, category] for category in categories],
            marker={"color": COLOURS[number % len(COLOURS)]},
            hovertemplate="%{y:,} texts<extra>%{fullData.name}</extra>",
            texttemplate="%{y:,}" if len(sources) * len(categories) <= 24 else None,
            textposition="outside",
            textfont={"size": 10},
            cliponaxis=False,
        )
        for number, source in enumerate(sources)
    ]
    ticks = {"tickvals": list(range(len(categories)))}
    return theme.figure(
        bars,
        height=380,
        meta={"min_width": 160 + 90 * len(categories)},
        barmode="group",
        bargap=0.25,
        showlegend=len(sources) > 1,
        xaxis=ticks | {"ticktext": [theme.wrapped(c, 14) for c in categories], "showgrid": False},
        yaxis={"title": {"text": "texts"}, "rangemode": "tozero"},
    )


class Grid(NamedTuple):
    """Texts by source and category, the largest of either first.

    Attributes:
        sources, categories: as they are shown; of more than twelve, the smaller ones are one.
        n: texts of each pair.
        characters: of these, in all.
    """

    sources: list[str]
    categories: list[str]
    n: Counter[tuple[str, str]]
    characters: Counter[tuple[str, str]]


def grid(cells: Sequence[Cell]) -> Grid:
    """Join the cells that are shown as one."""
    sources, categories = _names(cells, "source"), _names(cells, "category")
    shown = Grid(
        [*dict.fromkeys(sources.values())],
        [*dict.fromkeys(categories.values())],
        Counter(),
        Counter(),
    )
    for cell in cells:
        pair = sources[cell.source], categories[cell.category]
        shown.n[pair] += cell.n
        shown.characters[pair] += round(cell.n * cell.mean_characters)
    return shown


def _names(cells: Sequence[Cell], kind: Literal["source", "category"]) -> dict[str, str]:
    """What each source or category is called in the picture, the largest first."""
    sizes: Counter[str] = Counter()
    for cell in cells:
        sizes[getattr(cell, kind)] += cell.n
    ranked = sorted(sizes, key=lambda name: (-sizes[name], name))
    rest = len(ranked) - SHOWN
    unnamed = "all texts" if len(ranked) == 1 else "not named"
    return {
        name: f"{rest} others" if rest > 0 and place >= SHOWN else name or unnamed
        for place, name in enumerate(ranked)
    }
