"""Figure 2 of Lee et al. 2024: do toxic neurons fire less while text is generated?"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import ActivationDrop
from bezoar.report import theme
from bezoar.report.numbers import estimate
from bezoar.stats.intervals import Interval

SHOWN = 12


def figure_2_activation_drop(found: ActivationDrop) -> Any:
    """Paired bars with 95 % intervals: the first neurons, then the mean of all."""
    rows = found.neurons[:SHOWN]
    changes = [*(row.change for row in rows), found.change]
    labels = [*map(str, rows), f"all {len(found.neurons)}"]
    names = [f"{name}{_sign(change)}" for name, change in zip(labels, changes, strict=True)]
    sides = (
        (found.base_name, [*(row.base for row in rows), found.base], theme.BLUE),
        (found.edited_name, [*(row.edited for row in rows), found.edited], theme.ORANGE),
    )
    bars = [_bars(name, names, values, changes, colour) for name, values, colour in sides]
    return theme.figure(
        bars,
        height=340,
        barmode="group",
        bargap=0.3,
        xaxis={
            "title": {"text": "neuron (layer.index; ▾ fell, ▴ rose beyond its paired interval)"},
            "type": "category",
            "tickangle": 0,
            "showgrid": False,
        },
        yaxis={
            "title": {"text": "mean coefficient"},
            "zeroline": True,
            "zerolinecolor": theme.GREY,
        },
    )


def _sign(change: Interval) -> str:
    return "<br>▾" if change.high < 0 else "<br>▴" if change.low > 0 else ""


def _bars(
    name: str, names: list[str], values: list[Interval], changes: list[Interval], colour: str
) -> Any:
    heights = [v.value for v in values]
    return go.Bar(
        name=theme.label(name),
        x=names,
        y=heights,
        marker={"color": colour},
        error_y=theme.error_bars(heights, [v.low for v in values], [v.high for v in values]),
        customdata=[
            [estimate(v), estimate(c, signed=True)] for v, c in zip(values, changes, strict=True)
        ],
        hovertemplate="%{x}: %{customdata[0]}<br>change %{customdata[1]}<extra></extra>",
    )
