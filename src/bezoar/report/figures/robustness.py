"""What survives of a remedy: one curve an attack, over the attacker's budget."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from bezoar.attack import AttackCurve, AttackPoint, Robustness
from bezoar.report import theme
from bezoar.report.figures.panels import places

COLUMNS = 3
PANEL, GAP = 150, 112  # pixels: a panel's height, and between panels
SHORT = 7  # letters of a label that fits under a tick


def robustness(found: Robustness) -> Any:
    """A small panel an attack: the surviving share against the budget, with its interval.

    A filled dot counts; a cross is a model that the attack broke (perplexity beyond the limit) and
    counts for nothing. The line is what is scored: the lowest dot up to a budget. Dotted is the
    null of the attack, as strong but aimless, and combined as the attack is.

    Raises:
        TypeError: if nothing was attacked, or no score is defined.
    """
    shown = [curve for curve in found.curves if _points(curve.points)]
    if not shown:
        raise TypeError(f"There is no curve to draw: {found.undefined or 'no attack applied'}.")
    wide, narrow = (
        places(len(shown), columns, height=PANEL, gap=GAP, between=0.08) for columns in (COLUMNS, 1)
    )
    layout: dict[str, Any] = {}
    drawn: list[Any] = []
    notes: list[dict[str, Any]] = []
    phone: dict[str, Any] = {"height": _height(len(shown), 1)}
    for i, curve in enumerate(shown):
        tail = str(i + 1) if i else ""
        drawn += _panel(curve, tail)
        notes.append(_title(curve, tail))
        layout[f"xaxis{tail}"] = _x(curve) | {"domain": wide[i][0], "anchor": f"y{tail}"}
        layout[f"yaxis{tail}"] = {
            "domain": wide[i][1],
            "anchor": f"x{tail}",
            "range": [-0.06, 1.08],
            "tickvals": [0, 0.5, 1],
            "tickformat": ".0%",
        } | ({"title": {"text": "survives"}} if i % COLUMNS == 0 else {})
        phone |= {f"xaxis{tail}.domain": narrow[i][0], f"yaxis{tail}.domain": narrow[i][1]}
    return theme.figure(
        drawn,
        height=_height(len(shown), COLUMNS),
        meta={"narrow": phone},
        annotations=notes,
        showlegend=False,
        **layout,
    )


def _points(points: tuple[AttackPoint, ...]) -> list[AttackPoint]:
    return [p for p in points if p.budget > 0 and p.survives is not None]


def _panel(curve: AttackCurve, tail: str) -> list[Any]:
    axes = {"xaxis": f"x{tail}", "yaxis": f"y{tail}"}
    drawn = []
    if nulls := _points(curve.nulls):
        drawn.append(_line(nulls, "null", theme.GREY, "dot") | axes)
    points = _points(curve.points)
    drawn.append(_line(points, curve.attack, theme.BLUE, "solid") | axes)
    drawn.append(_dots(points, curve.attack) | axes)
    return [go.Scatter(**trace) for trace in drawn]


def _line(points: list[AttackPoint], name: str, colour: str, dash: str) -> dict[str, Any]:
    """The lowest counting share so far, budget by budget."""
    lowest, heights = 1.0, {}
    for p in points:
        if p.valid and p.survives is not None:
            lowest = min(lowest, p.survives.value)
        heights[p.budget] = lowest
    return {
        "name": theme.label(name),
        "x": list(heights),
        "y": list(heights.values()),
        "mode": "lines+markers" if len(heights) == 1 and dash == "dot" else "lines",
        "line": {"color": colour, "width": 1.6, "dash": dash},
        "marker": {"color": colour, "size": 5, "symbol": "line-ew-open"},
        "hoverinfo": "skip",
    }


def _dots(points: list[AttackPoint], name: str) -> dict[str, Any]:
    intervals = [p.survives for p in points if p.survives is not None]
    values = [g.value for g in intervals]
    bars = theme.error_bars(values, [g.low for g in intervals], [g.high for g in intervals])
    return {
        "name": theme.label(name),
        "x": [p.budget for p in points],
        "y": values,
        "mode": "markers",
        "marker": {
            "color": [theme.BLUE if p.valid else theme.ORANGE for p in points],
            "symbol": ["circle" if p.valid else "x-thin-open" for p in points],
            "size": 7,
            "line": {"width": [0 if p.valid else 2 for p in points], "color": theme.ORANGE},
        },
        "error_y": bars | {"color": theme.FAINT},
        "customdata": [[theme.label(_told(p))] for p in points],
        "hovertemplate": "%{customdata[0]}: %{y:.0%} survives<extra></extra>",
    }


def _told(point: AttackPoint) -> str:
    parts = [point.label, point.variant, "" if point.valid else "the model is broken"]
    return ", ".join(part for part in parts if part)


def _title(curve: AttackCurve, tail: str) -> dict[str, Any]:
    text = f"<b>{theme.wrapped(curve.attack, 34)}</b>"
    if curve.area is not None:
        text += f"<br>area {curve.area.value:.2f}"
        if curve.null_area is not None:
            text += f", null {curve.null_area.value:.2f}"
    else:
        text += "<br>every model was broken"
    place = {"xref": f"x{tail} domain", "yref": f"y{tail} domain", "x": 0, "y": 1.04}
    return {"text": text, "align": "left", "xanchor": "left", "yanchor": "bottom"} | place


def _x(curve: AttackCurve) -> dict[str, Any]:
    budgets = sorted({p.budget for p in _points(curve.points)})
    low, high = math.log10(budgets[0]), math.log10(budgets[-1])
    margin = 0.06 * (high - low) or 0.3
    ticks = _ticks(budgets)
    return {
        "type": "log",
        "range": [low - margin, high + margin],
        "tickvals": ticks,
        "ticktext": _tick_texts(curve, ticks),
        "showgrid": False,
        "title": {"text": theme.label(curve.axis)},
    }


def _tick_texts(curve: AttackCurve, ticks: list[float]) -> list[str]:
    """The labels of the points where they are short, such as "8 bits"; else the budgets."""
    labels = {p.budget: p.label for p in curve.points}
    short = len(labels) == len(curve.points) and max(map(len, labels.values())) <= SHORT
    return [theme.label(labels[tick]) if short else f"{tick:g}" for tick in ticks]


def _ticks(budgets: list[float]) -> list[float]:
    """Tried budgets that have room for their label; first and last always do."""
    span = math.log(budgets[-1] / budgets[0]) or 1.0
    shown = [budgets[0]]
    for budget in budgets[1:-1]:
        apart = math.log(budget / shown[-1]) / span
        if apart >= 0.16 and math.log(budgets[-1] / budget) / span >= 0.16:
            shown.append(budget)
    return shown if len(budgets) == 1 else [*shown, budgets[-1]]


def _height(n: int, columns: int) -> int:
    rows = -(-n // min(columns, n))
    return rows * PANEL + (rows - 1) * GAP + 110
