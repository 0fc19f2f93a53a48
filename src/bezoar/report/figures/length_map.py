"""The data: mean length by source and category. Where cells differ, length tells the categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.corpus.explore_survey import Cell, Survey
from bezoar.report import theme
from bezoar.report.figures.survey_counts import grid

ROW = 44


def length_map(survey: Survey | Sequence[Cell]) -> Any:
    """Heat map of the mean characters of a text; a cell without texts stays blank."""
    cells = survey.cells if isinstance(survey, Survey) else survey
    sources, categories, counts, characters = grid(cells)
    means = [
        [characters[cell] / counts[cell] if counts[cell] else None for cell in row]
        for row in ([(source, category) for category in categories] for source in sources)
    ]
    told = [[f"{counts[source, category]:,}" for category in categories] for source in sources]
    heat = go.Heatmap(
        z=means,
        x=list(range(len(categories))),
        y=list(range(len(sources))),
        customdata=told,
        texttemplate="%{z:.0f}",
        textfont={"size": 12},
        hovertemplate="%{z:.1f} characters, mean of %{customdata} texts<extra></extra>",
        coloraxis="coloraxis",
        hoverongaps=False,
        xgap=1,
        ygap=1,
    )
    return theme.figure(
        [heat],
        height=140 + ROW * len(sources),
        meta={"min_width": 180 + 80 * len(categories)},
        coloraxis={"cmin": 0, "showscale": False},
        xaxis={"tickvals": list(range(len(categories))), "showgrid": False}
        | {"ticktext": [theme.wrapped(name, 14) for name in categories]},
        yaxis={"tickvals": list(range(len(sources))), "showgrid": False, "autorange": "reversed"}
        | {"ticktext": [theme.wrapped(name, 24) for name in sources]},
    )
