"""Eliminated, or bypassed? What every remedy leaves readable, and what can be brought back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.attack import ResidualCapability
from bezoar.report import theme
from bezoar.report.numbers import estimate
from bezoar.stats import Interval


def residual_capability(found: Sequence[ResidualCapability]) -> Any:
    """Left: AUROC of a probe on the base and on the edited model. Right: what steering returns.

    A grey dash is what random directions bring back; dotted lines are chance and the half that the
    verdict asks for.

    Raises:
        TypeError: if nothing was looked at.
    """
    if not found:
        raise TypeError("No remedy was looked at.")
    y = list(range(len(found)))
    reads = {"xaxis": "x", "yaxis": "y"}
    returns = {"xaxis": "x2", "yaxis": "y2"}
    traces = [
        _dots("base", [each.base for each in found], y, theme.BLUE, 0.14) | reads,
        _dots("edited", [each.edited for each in found], y, theme.ORANGE, -0.14) | reads,
        _dots("brought back", [each.recovered for each in found], y, theme.TEAL, 0.0) | returns,
        _random(found) | returns,
    ]
    ticks = {"tickvals": y, "showgrid": False, "range": [len(y) - 0.4, -0.6]}
    names = [f"{theme.wrapped(each.edit, 24)}<br>{each.verdict}" for each in found]
    height = 150 + 58 * len(found)
    return theme.figure(
        [go.Scatter(trace) for trace in traces],
        height=height,
        meta={
            "narrow": {
                "height": 2 * height,
                "xaxis.domain": [0, 1],
                "xaxis2.domain": [0, 1],
                "yaxis.domain": [0.56, 1],
                "yaxis2.domain": [0, 0.42],
                "yaxis2.showticklabels": True,
            }
        },
        shapes=[_line("x", 0.5), _line("x2", 0.5)],
        legend={"traceorder": "normal"},
        xaxis={"title": {"text": "AUROC of a probe"}, "domain": [0, 0.48], "anchor": "y"},
        xaxis2={"title": {"text": "share of the reduction that steering brings back"}}
        | {"domain": [0.54, 1], "anchor": "y2", "range": [-0.05, 1.05], "tickformat": ".0%"},
        yaxis=ticks | {"ticktext": names, "anchor": "x"},
        yaxis2=ticks | {"ticktext": names, "anchor": "x2", "showticklabels": False},
    )


def _dots(
    name: str, seen: list[Interval | None], y: list[int], colour: str, up: float
) -> dict[str, Any]:
    rows = [(value, at) for value, at in zip(seen, y, strict=True) if value is not None]
    values = [value.value for value, _ in rows]
    bars = theme.error_bars(values, [v.low for v, _ in rows], [v.high for v, _ in rows], colour)
    return {
        "name": name,
        "x": values,
        "y": [at - up for _, at in rows],
        "mode": "markers",
        "marker": {"size": 9, "color": colour},
        "error_x": bars,
        "customdata": [estimate(value) for value, _ in rows],
        "hovertemplate": f"{name}: %{{customdata}}<extra></extra>",
    }


def _random(found: Sequence[ResidualCapability]) -> dict[str, Any]:
    rows = [(r.null_recovered, i) for i, r in enumerate(found) if r.null_recovered is not None]
    return {
        "name": "by random directions",
        "x": [value for value, _ in rows],
        "y": [at for _, at in rows],
        "mode": "markers",
        "marker": {"size": 16, "color": theme.GREY, "symbol": "line-ns-open", "line": {"width": 2}},
        "hovertemplate": "by random directions: %{x:.0%}<extra></extra>",
    }


def _line(axis: str, at: float) -> dict[str, Any]:
    line = {"dash": "dot", "width": 1, "color": theme.GREY}
    return {"type": "line", "xref": axis, "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1} | {
        "line": line
    }
