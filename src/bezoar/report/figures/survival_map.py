"""What survives of every remedy under every attack, in one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.attack import Robustness
from bezoar.report import theme
from bezoar.report.numbers import estimate

_WORDY = 12  # attacks up to which the numbers stand in the cells
ALL = "all attacks"


def survival_map(found: Sequence[Robustness]) -> Any:
    """A row a remedy, a column an attack: the area under its surviving share; last, their mean.

    An empty cell is an attack that does not apply, or left nothing to measure.

    Raises:
        TypeError: if nothing was attacked.
    """
    shown = [each for each in found if each.score is not None]
    attacks = list(dict.fromkeys(c.attack for each in shown for c in each.curves if c.area))
    if not attacks:
        raise TypeError("No remedy has a score, so there is no map to draw.")
    columns = [*attacks, ALL]
    areas = [{c.attack: c.area for c in each.curves} | {ALL: each.score} for each in shown]
    cells = [[row.get(column) for column in columns] for row in areas]
    heat = go.Heatmap(
        z=[[None if cell is None else cell.value for cell in row] for row in cells],
        x=[theme.wrapped(column, 12) for column in columns],
        y=list(range(len(shown))),
        coloraxis="coloraxis",
        customdata=[[estimate(cell) for cell in row] for row in cells],
        hovertemplate="%{x}: %{customdata}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    if len(columns) <= _WORDY:
        heat.update(texttemplate="%{z:.2f}")
    names = [each.edit for each in shown]
    return theme.figure(
        [heat],
        height=150 + 38 * len(shown),
        meta={
            "narrow": {"yaxis.ticktext": [theme.wrapped(name, 14) for name in names]},
            "min_width": 190 + 66 * len(columns),
        },
        coloraxis={"cmin": 0, "cmax": 1, "showscale": len(columns) > _WORDY}
        | {"colorbar": {"title": {"text": "survives", "side": "top"}, "tickformat": ".0%"}},
        xaxis={"side": "top", "showgrid": False, "type": "category", "tickangle": 0},
        yaxis={"autorange": "reversed", "showgrid": False}
        | {"tickvals": list(range(len(shown)))}
        | {"ticktext": [theme.wrapped(name, 26) for name in names]},
    )
