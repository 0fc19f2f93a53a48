"""How strengths were found: the cost of each strength that was tried, method by method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.mitigate import BudgetPoint, BudgetTrace
from bezoar.report import theme
from bezoar.report.figures.panels import places

COLUMNS = 3
PANEL, GAP = 132, 62  # pixels: a panel's height, and between panels
BROKEN = 250.0  # per cent of the budget at which what broke the model is drawn, and the axis ends


def budget_trace(traces: BudgetTrace | Sequence[BudgetTrace]) -> Any:
    """A small panel a method: cost in per cent of the budget against strength.

    The ring is the strength that was chosen; a cross at the edge is one that cost more than the
    panel shows, or broke the model. A title says where no strength met the budget, or where cost
    fell as strength rose.

    Raises:
        TypeError: if there is no trace.
    """
    shown = list(traces) if isinstance(traces, Sequence) else [traces]
    if not shown:
        raise TypeError("There is no search to draw.")
    wide, narrow = (
        places(len(shown), columns, height=PANEL, gap=GAP, between=0.09) for columns in (COLUMNS, 1)
    )
    layout: dict[str, Any] = {}
    drawn: list[Any] = []
    notes: list[dict[str, Any]] = []
    phone: dict[str, Any] = {"height": _height(len(shown), 1)}
    for i, trace in enumerate(shown):
        tail = str(i + 1) if i else ""
        drawn += _panel(trace, tail)
        notes.append(_title(trace, tail))
        layout[f"xaxis{tail}"] = _x(trace) | {"domain": wide[i][0], "anchor": f"y{tail}"}
        layout[f"yaxis{tail}"] = {
            "domain": wide[i][1],
            "anchor": f"x{tail}",
            "range": [-12, BROKEN * 1.06],
            "tickvals": [0, 100, 200],
            "ticktext": ["0", "budget", "2 ×"],
        }
        phone |= {f"xaxis{tail}.domain": narrow[i][0], f"yaxis{tail}.domain": narrow[i][1]}
    return theme.figure(
        drawn,
        height=_height(len(shown), COLUMNS),
        meta={"narrow": phone},
        annotations=notes,
        showlegend=False,
        **layout,
    )


def _height(n: int, columns: int) -> int:
    rows = -(-n // min(columns, n))
    return rows * PANEL + (rows - 1) * GAP + 100


def _panel(trace: BudgetTrace, tail: str) -> list[Any]:
    points = sorted(trace.points, key=lambda p: p.strength)
    colour = theme.BLUE if trace.strength is not None else theme.ORANGE
    heights = [_height_of(p, trace) for p in points]
    beyond = [height >= BROKEN for height in heights]
    chosen = [p.strength == trace.strength for p in points]
    axes = {"xaxis": f"x{tail}", "yaxis": f"y{tail}"}
    limit = go.Scatter(
        x=[p.strength for p in (points[0], points[-1])] if points else [],
        y=[100, 100],
        mode="lines",
        line={"color": theme.GREY, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        **axes,
    )
    widths = [2 if ringed or far else 0 for ringed, far in zip(chosen, beyond, strict=True)]
    line = go.Scatter(
        x=[p.strength for p in points],
        y=heights,
        mode="lines+markers",
        line={"color": colour, "width": 1.2},
        marker={
            "color": colour,
            "symbol": ["x-thin-open" if far else "circle" for far in beyond],
            "size": [12 if ringed else 7 for ringed in chosen],
            "line": {"width": widths, "color": [colour if far else theme.GREY for far in beyond]},
        },
        customdata=[_cost(p, trace) for p in points],
        hovertemplate="strength %{x:.4g}: %{customdata}<extra></extra>",
        **axes,
    )
    return [limit, line]


def _cost(point: BudgetPoint, trace: BudgetTrace) -> str:
    if point.cost is None:
        return "it broke the model"
    return f"{100 * point.cost / trace.budget:.0f} % of the budget"


def _height_of(point: BudgetPoint, trace: BudgetTrace) -> float:
    if point.cost is None:
        return BROKEN
    return min(BROKEN, max(-10.0, 100 * point.cost / trace.budget))


def _title(trace: BudgetTrace, tail: str) -> dict[str, Any]:
    text = theme.label(trace.method)
    if trace.strength is None:
        text += "<br>no strength met the budget"
    elif not trace.monotone:
        text += "<br>cost is not monotone"
    place = {"xref": f"x{tail} domain", "yref": f"y{tail} domain", "x": 0, "y": 1}
    return {"text": text, "align": "left", "xanchor": "left", "yanchor": "bottom"} | place


def _x(trace: BudgetTrace) -> dict[str, Any]:
    strengths = [p.strength for p in trace.points if p.strength > 0]
    wide = bool(strengths) and max(strengths) > 8 * min(strengths)
    return {"type": "log" if wide else "linear", "nticks": 4, "showgrid": False} | (
        {"dtick": 1} if wide else {}
    )
