"""Table 4 as a curve: toxicity and its price while toxic keys, or random ones, are turned up."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from bezoar.attack import AttackCurve, AttackPoint, Robustness
from bezoar.report import theme
from bezoar.report.numbers import estimate, number

TICKS = 6  # labels of the axis, at most
_NAMES = 0.2  # of the axis: room for the names of lines
_COLOURS = (theme.BLUE, theme.TEAL, theme.PURPLE)


def key_scaling(found: Robustness) -> Any:
    """Left toxicity, right perplexity, against factor × number of keys; dotted: random keys.

    A cross is a model beyond the limit of perplexity. Horizontal lines are the base and the
    aligned model; on the right, the limit.

    Raises:
        TypeError: if no keys were scaled.
    """
    curves = [curve for curve in found.curves if curve.points]
    if not curves:
        raise TypeError("No keys were scaled.")
    traces: list[Any] = []
    for i, (curve, colour) in enumerate(zip(curves, _COLOURS, strict=False)):
        name = theme.label(curve.attack)
        # Two curves may lie on each other: the later is dashes and rings, around what it covers.
        traces += _pair(name, curve.points, colour, "dash" if i else "solid", ring=bool(i))
    if nulls := curves[0].nulls:
        traces += _pair("random keys", nulls, theme.GREY, "dot")
    limit = found.limit * (found.base_perplexity or 0.0)
    return theme.figure(
        traces,
        height=340,
        meta={
            "narrow": {
                "height": 620,
                "xaxis.domain": [0, 1],
                "xaxis2.domain": [0, 1],
                "yaxis.domain": [0.58, 1],
                "yaxis2.domain": [0, 0.42],
            }
        },
        shapes=[
            _line(found.base, "x", "y"),
            _line(found.edited, "x", "y"),
            *([_line(limit, "x2", "y2")] if limit else []),
        ],
        annotations=[
            _name("base", found.base, "x", "y"),
            _name("aligned", found.edited, "x", "y"),
            *([_name("limit", limit, "x2", "y2")] if limit else []),
        ],
        legend={"traceorder": "normal"},
        xaxis=_x(curves, "y", [0.0, 0.46]),
        xaxis2=_x(curves, "y2", [0.56, 1.0]),
        yaxis={"title": {"text": "toxicity"}, "rangemode": "tozero", "anchor": "x"},
        yaxis2={"title": {"text": "perplexity"}, "rangemode": "tozero", "anchor": "x2"},
    )


def _x(curves: list[AttackCurve], anchor: str, domain: list[float]) -> dict[str, Any]:
    axis = {"title": {"text": "factor × number of keys"}, "type": "log", "showgrid": False}
    budgets = sorted({p.budget for curve in curves for p in curve.points})
    shown = budgets[:: -(-len(budgets) // TICKS)]
    ticks = {"tickvals": shown, "ticktext": [f"{budget:g}" for budget in shown]}
    ends = np.log10([budgets[0], budgets[-1]])
    room = _NAMES * max(ends[1] - ends[0], 0.3)  # before the first point, for names of lines
    limits = {"range": [ends[0] - room, ends[1] + room / 4]}
    return axis | ticks | limits | {"anchor": anchor, "domain": domain}


def _pair(
    name: str, points: tuple[AttackPoint, ...], colour: str, dash: str, *, ring: bool = False
) -> list[Any]:
    left = [(p, p.toxicity) for p in points if p.toxicity is not None]
    right = [(p, p.perplexity) for p in points if p.perplexity is not None]
    toxicity = _trace(name, left, colour, dash, ring)
    seen = [p.toxicity_interval for p, _ in left]
    if all(interval is not None for interval in seen):
        told = [interval for interval in seen if interval is not None]
        toxicity["error_y"] = theme.error_bars(
            [i.value for i in told], [i.low for i in told], [i.high for i in told], colour
        )
    price = _trace(name, right, colour, dash, ring) | {
        "showlegend": False,
        "xaxis": "x2",
        "yaxis": "y2",
    }
    return [go.Scatter(toxicity), go.Scatter(price)]


def _trace(
    name: str, rows: list[tuple[AttackPoint, float]], colour: str, dash: str, ring: bool
) -> dict[str, Any]:
    whole = "circle-open" if ring else "circle"
    return {
        "name": name,
        "legendgroup": name,
        "x": [p.budget for p, _ in rows],
        "y": [value for _, value in rows],
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.4, "dash": dash},
        "marker": {
            "color": colour,
            "size": 11 if ring else 7,
            "symbol": [whole if p.valid else "x-thin-open" for p, _ in rows],
            "line": {"width": [1.5 * ring if p.valid else 2 for p, _ in rows], "color": colour},
        },
        "customdata": [_told(p) for p, _ in rows],
        "hovertemplate": f"{name}, %{{customdata}}<extra></extra>",
    }


def _told(p: AttackPoint) -> str:
    toxicity = number(p.toxicity) if p.toxicity_interval is None else estimate(p.toxicity_interval)
    broken = "" if p.valid else ", the model is broken"
    return f"{theme.label(p.label)}: toxicity {toxicity}, perplexity {number(p.perplexity)}{broken}"


def _line(y: float, x_axis: str, y_axis: str) -> dict[str, Any]:
    place = {"type": "line", "xref": f"{x_axis} domain", "yref": y_axis, "x0": 0, "x1": 1}
    return place | {"y0": y, "y1": y, "line": {"dash": "dot", "width": 1, "color": theme.GREY}}


def _name(text: str, y: float, x_axis: str, y_axis: str) -> dict[str, Any]:
    place = {"xref": f"{x_axis} domain", "yref": y_axis, "x": 0, "y": y}
    return place | {"text": text, "xanchor": "left", "yanchor": "bottom"}
