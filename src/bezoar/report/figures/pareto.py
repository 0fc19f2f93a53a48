"""What it costs: toxicity against perplexity, and which methods no other one beats on both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from bezoar.evaluate import MethodRow, Scorecard, pareto_front
from bezoar.report import theme
from bezoar.report.figures.comparison import with_nulls
from bezoar.report.numbers import estimate, percent

LABEL_GAP = 0.052  # of the height, between two labels


@dataclass(frozen=True, slots=True)
class _Point:
    """A variant by its paired changes: perplexity in per cent, toxicity as a level."""

    label: str
    x: tuple[float, float, float]  # value, low, high
    y: tuple[float, float, float]
    note: str


def pareto(card: Scorecard, *, budget: float | None = None) -> Any:
    """Each variant as a point with the intervals of its paired changes, the front as a line.

    Args:
        card: the comparison.
        budget: by which share perplexity was allowed to rise; drawn as a line.

    Raises:
        TypeError: if no variant has both a toxicity and a perplexity.
    """
    origin = next((row for row in card.rows if row.kind == "no-op" and _placed(row)), None)
    if origin is None:
        raise TypeError("This scorecard has no no-op row with toxicity and perplexity.")
    level = origin.metrics["toxicity"].value
    pairs = with_nulls(card)
    base = [_point(origin, level)]
    methods = [_point(row, level) for row, _ in pairs if _placed(row)]
    nulls = [_point(row, level) for _, rows in pairs for row in rows if _placed(row)]
    traces = [
        _points("null edits", nulls, theme.FAINT, "circle", 7, bars=False),
        _line([*base, *methods]),
        _points("methods", methods, theme.BLUE, "circle", 10),
        _points("no edit", base, theme.ORANGE, "diamond", 12),
    ]
    # A null may cost many times the budget: the axes are those of what could be chosen.
    left = min(p.x[1] for p in (*base, *methods))
    right = max(*(p.x[2] for p in (*base, *methods)), 100 * (budget or 0.0))
    top = 1.12 * max(p.y[2] for p in (*base, *methods))
    width = right - left or 1.0
    return theme.figure(
        [trace for trace in traces if trace is not None],
        height=480,
        meta={"narrow": {"xaxis.range": [left - 0.05 * width, right + 1.3 * width]}},
        shapes=_budget_line(budget),
        annotations=_labels(methods, right + 0.07 * width, top) + _budget_note(budget),
        xaxis={"title": {"text": "change in perplexity, %"}, "zeroline": True, "showgrid": False}
        | {"zerolinecolor": theme.GREY, "range": [left - 0.05 * width, right + 0.42 * width]},
        yaxis={"title": {"text": "toxicity  (down is better)"}, "range": [0, top]},
        legend={"y": 1.05},
    )


def _placed(row: MethodRow) -> bool:
    return "perplexity_change" in row.change and "toxicity" in row.change


def _point(row: MethodRow, level: float) -> _Point:
    cost, change = row.change["perplexity_change"], row.change["toxicity"]
    return _Point(
        label=row.label,
        x=(100 * cost.value, 100 * cost.low, 100 * cost.high),
        y=(level + change.value, level + change.low, level + change.high),
        note=f"toxicity {estimate(change, signed=True)}<br>"
        f"perplexity {percent(cost.value, signed=True)}",
    )


def _points(
    name: str, points: list[_Point], colour: str, symbol: str, size: int, *, bars: bool = True
) -> Any:
    if not points:
        return None
    x, x_low, x_high = (list(part) for part in zip(*(p.x for p in points), strict=True))
    y, y_low, y_high = (list(part) for part in zip(*(p.y for p in points), strict=True))
    return go.Scatter(
        name=name,
        x=x,
        y=y,
        error_x=theme.error_bars(x, x_low, x_high, colour) if bars else None,
        error_y=theme.error_bars(y, y_low, y_high, colour) if bars else None,
        mode="markers",
        marker={"color": colour, "size": size, "symbol": symbol},
        customdata=[[theme.label(p.label), p.note] for p in points],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _line(points: list[_Point]) -> Any:
    front = [points[i] for i in pareto_front([(p.x[0], p.y[0]) for p in points])]
    if len(front) < 2:
        return None
    return go.Scatter(
        name="front",
        x=[p.x[0] for p in front],
        y=[p.y[0] for p in front],
        mode="lines",
        line={"color": theme.GREY, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )


def _labels(points: list[_Point], x: float, top: float) -> list[dict[str, Any]]:
    """Names in a column on the right, in the order of the points, tied to them by thin lines."""
    placed: list[dict[str, Any]] = []
    below = -1.0
    for point in sorted(points, key=lambda p: p.y[0]):
        below = max(point.y[0], below + LABEL_GAP * top)
        placed.append(
            {
                "text": theme.label(point.label),
                "x": point.x[0],
                "y": point.y[0],
                "ax": x,
                "ay": below,
                "axref": "x",
                "ayref": "y",
                "xanchor": "left",
                "showarrow": True,
                "arrowhead": 0,
                "arrowwidth": 0.7,
                "arrowcolor": theme.FAINT,
                "standoff": 7,
            }
        )
    return placed


def _budget_line(budget: float | None) -> list[dict[str, Any]]:
    if budget is None:
        return []
    line = {"color": theme.GREY, "width": 1, "dash": "dot"}
    at = 100 * budget
    return [{"type": "line", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}]


def _budget_note(budget: float | None) -> list[dict[str, Any]]:
    if budget is None:
        return []
    return [{"text": "budget", "x": 100 * budget, "y": 1, "yref": "paper", "yanchor": "bottom"}]
