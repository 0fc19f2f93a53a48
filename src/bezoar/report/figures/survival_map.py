"""What survives of every remedy under every attack, in one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.attack import Robustness
from bezoar.report import theme
from bezoar.report.numbers import estimate

_WORDY = 8  # remedies up to which the numbers stand in the cells
ALL = "all attacks"


def survival_map(found: Sequence[Robustness]) -> Any:
    """A row an attack, a column a remedy: the area under its surviving share; first, their mean.

    An empty cell is an attack that does not apply, or left nothing to measure.

    Raises:
        TypeError: if nothing was attacked.
    """
    shown = [each for each in found if each.score is not None]
    attacks = list(dict.fromkeys(c.attack for each in shown for c in each.curves if c.area))
    if not attacks:
        raise TypeError("No remedy has a score, so there is no map to draw.")
    rows = [ALL, *attacks]
    areas = [{c.attack: c.area for c in each.curves} | {ALL: each.score} for each in shown]
    cells = [[column.get(row) for column in areas] for row in rows]
    wordy = len(shown) <= _WORDY
    heat = go.Heatmap(
        z=[[None if cell is None else cell.value for cell in row] for row in cells],
        x=list(range(len(shown))),
        y=list(range(len(rows))),
        coloraxis="coloraxis",
        customdata=[[estimate(cell) for cell in row] for row in cells],
        hovertemplate="%{customdata}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    if wordy:
        heat.update(texttemplate="%{z:.2f}")
    names = [theme.wrapped(each.edit, 16 if wordy else 24) for each in shown]
    return theme.figure(
        [heat],
        height=(110 if wordy else 230) + 30 * len(rows),  # names of many remedies stand upright
        meta={
            "narrow": {"yaxis.ticktext": [theme.wrapped(row, 16) for row in rows]},
            "min_width": 170 + (78 if wordy else 52) * len(shown),
        },
        margin={"l": 8, "r": 16, "t": 8, "b": 8},
        coloraxis={"cmin": 0, "cmax": 1, "showscale": not wordy}
        | {"colorbar": {"title": {"text": "survives", "side": "top"}, "tickformat": ".0%"}},
        xaxis={"side": "top", "showgrid": False, "tickangle": 0 if wordy else -90}
        | {"tickvals": list(range(len(shown))), "ticktext": names},
        yaxis={"autorange": "reversed", "showgrid": False, "tickvals": list(range(len(rows)))}
        | {"ticktext": [theme.label(row) for row in rows]},
    )
