"""Does it matter which directions are damped? One choice against others and random ones."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.evaluate.eigen_results import EigenChoice, EigenChoices
from bezoar.report import theme
from bezoar.report.numbers import estimate, percent

_PANELS = ("toxicity, less that of α = 1", "change in perplexity, %")


def eigen_choices(found: EigenChoices) -> Any:
    """A row a choice: on the left its toxicity against the control, on the right what it costs.

    The lowest row holds the random choices, a dot each; the band is the middle 95 % of them.
    """
    rows = [*(each.point.name for each in found.choices), _random(found)]
    tox = [p.change.value for p in found.draws]
    cost = [100 * p.perplexity_change.value for p in found.draws]
    left = (tox, [each.point.change for each in found.choices], 1.0, "x")
    right = (cost, [each.point.perplexity_change for each in found.choices], 100.0, "x2")
    traces, shapes = [], []
    for draws, seen, scale, axis in (left, right):
        values, lows, highs = (
            [scale * getattr(one, part) for one in seen] for part in ("value", "low", "high")
        )
        traces.append(_chosen(found.choices, values, lows, highs, axis))
        traces.append(_draws(draws, len(rows) - 1, axis))
        shapes += [_band(draws, axis), _zero(axis)]
    names = [theme.wrapped(name, 26) for name in rows]
    ticks = {"tickvals": list(range(len(rows))), "ticktext": names}
    bare = {"zeroline": False}
    return theme.figure(
        traces,
        height=90 + 34 * len(rows),
        meta={"min_width": 620},
        shapes=shapes,
        xaxis={"title": {"text": _PANELS[0]}, "domain": [0, 0.56]} | bare,
        xaxis2={"title": {"text": _PANELS[1]}, "domain": [0.62, 1]} | bare,
        yaxis={"autorange": "reversed", "showgrid": False} | ticks,
        showlegend=False,
    )


def _random(found: EigenChoices) -> str:
    return f"{len(found.draws)} random choices"


def _chosen(
    choices: tuple[EigenChoice, ...],
    values: list[float],
    lows: list[float],
    highs: list[float],
    axis: str,
) -> Any:
    return go.Scatter(
        name="choices",
        x=values,
        y=list(range(len(values))),
        xaxis=axis,
        error_x=theme.error_bars(values, lows, highs, theme.BLUE),
        mode="markers",
        marker={"color": theme.BLUE, "size": 9},
        customdata=[_hover(each) for each in choices],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _hover(each: EigenChoice) -> str:
    point = each.point
    shared = "" if each.overlap is None else f"<br>shared with correct {percent(each.overlap)}"
    return (
        f"{theme.label(point.name)}<br>toxicity {estimate(point.toxicity)}"
        f"<br>perplexity {percent(point.perplexity_change.value, signed=True)}"
        f"<br>‖W′ − W‖ / ‖W‖ = {point.size:.3f}{shared}"
        f"<br>random choices as good {percent(each.as_good)}"
    )


def _draws(values: list[float], row: int, axis: str) -> Any:
    return go.Scatter(
        name="random",
        x=values,
        y=[row] * len(values),
        xaxis=axis,
        mode="markers",
        marker={"color": theme.FAINT, "size": 7},
        hoverinfo="x",
    )


def _band(values: list[float], axis: str) -> dict[str, Any]:
    ordered = sorted(values)
    cut = round(0.025 * (len(ordered) - 1))
    ends = {"x0": ordered[cut], "x1": ordered[-1 - cut]}
    place = {"type": "rect", "xref": axis, "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    return place | ends | {"fillcolor": theme.BAND, "line": {"width": 0}}


def _zero(axis: str) -> dict[str, Any]:
    line = {"color": theme.GREY, "width": 1, "dash": "dot"}
    place = {"type": "line", "xref": axis, "yref": "paper", "y0": 0, "y1": 1, "x0": 0, "x1": 0}
    return place | {"line": line}
