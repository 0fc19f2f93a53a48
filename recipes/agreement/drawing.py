"""What the figures are drawn with: two panels, bands, dots with intervals in named rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.report import theme

Numbers = dict[str, Any]
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
HALVES = ([0, 0.46], [0.54, 1])
MARGIN = {"l": 8, "r": 16, "t": 56, "b": 8}
LEGEND = {"y": 1, "yref": "container", "yanchor": "top", "x": 0}


def axes_of(panel: int) -> dict[str, str]:
    """The names of a panel's axes, as traces give them."""
    end = "" if panel == 0 else str(panel + 1)
    return {"xaxis": f"x{end}", "yaxis": f"y{end}"}


def style(scorer: str, number: int, panel: int, size: int = 8) -> dict[str, Any]:
    """Colour, symbol and legend entry of the scorer of that number, equal in all figures."""
    colour = theme.SERIES[number % len(theme.SERIES)]
    marker = {"color": colour, "size": size, "symbol": SYMBOLS[number % len(SYMBOLS)]}
    named = {"name": theme.label(scorer), "legendgroup": scorer, "showlegend": panel == 0}
    return named | {"marker": marker, "line": {"color": colour}, "mode": "lines+markers"}


def interval_bars(seen: Sequence[Numbers], colour: str) -> dict[str, Any]:
    """Bars of ``{"value", "low", "high"}``."""
    columns = ([own[key] for own in seen] for key in ("value", "low", "high"))
    return theme.error_bars(*columns, colour)


def line(x: Any, y: Any, panel: int, name: str = "", colour: str = "", dash: str = "solid") -> Any:
    """A bare line; without a name it is kept out of the legend."""
    look = {"dash": dash, "width": 1.5} | ({"color": colour} if colour else {})
    shown = {"name": name, "showlegend": bool(name) and panel == 0, "hoverinfo": "skip"}
    return go.Scatter(x=x, y=y, mode="lines", line=look, **shown, **axes_of(panel))


def band(x: list[float], seen: Sequence[Numbers], name: str, number: int, panel: int) -> list[Any]:
    """A curve with a shaded interval."""
    colour = theme.SERIES[number % len(theme.SERIES)]
    edge = [own["high"] for own in seen] + [own["low"] for own in reversed(seen)]
    area = line([*x, *reversed(x)], edge, panel)
    area.update(fill="toself", fillcolor=colour, opacity=0.2, line={"width": 0})
    curve = line(x, [own["value"] for own in seen], panel)
    return [area, curve.update(style(name, number, panel, 6))]


def dots(
    rows: Sequence[dict[str, Numbers]],
    scorers: Sequence[str],
    panel: int,
    size: int = 9,
    spread: float = 0.16,
) -> list[Any]:
    """One dot with its interval per row and scorer, side by side within the row."""
    traces = []
    for number, scorer in enumerate(scorers):
        placed = [(i, row[scorer]) for i, row in enumerate(rows) if scorer in row]
        shift = spread * (2 * number / max(1, len(scorers) - 1) - 1) if len(scorers) > 1 else 0.0
        look = style(scorer, number, panel, size) | {"mode": "markers"}
        seen = [own for _, own in placed]
        traces.append(
            go.Scatter(
                x=[own["value"] for own in seen],
                y=[i + shift for i, _ in placed],
                error_x=interval_bars(seen, look["marker"]["color"]),
                hoverinfo="skip",
                **look,
                **axes_of(panel),
            )
        )
    return traces


def row_axis(labels: Sequence[str]) -> dict[str, Any]:
    """An axis of named rows, the first on top."""
    n = len(labels)
    axis = {"tickvals": list(range(n)), "ticktext": list(labels), "range": [n - 0.4, -0.6]}
    return axis | {"showgrid": False}


def heading(text: str, x: float) -> dict[str, Any]:
    """A panel's title, above it and flush with its left side."""
    where = {"xref": "paper", "yref": "paper", "x": x, "y": 1, "yanchor": "bottom"}
    return where | {"xanchor": "left", "text": theme.label(text), "yshift": 4}


def two_panels(
    traces: list[Any],
    titles: Sequence[str],
    *,
    height: int,
    x: str,
    xaxis: dict[str, Any],
    yaxis: dict[str, Any],
    y: str = "",
    named_rows: bool = False,
    shapes: Sequence[dict[str, Any]] = (),
    notes: Sequence[dict[str, Any]] = (),
) -> Any:
    """Two panels side by side with equal axes; the second names its rows only through the first."""
    layout: dict[str, Any] = {}
    for panel, end in enumerate(("", "2")):
        layout[f"xaxis{end}"] = xaxis | {"title": {"text": x}, "domain": HALVES[panel]}
        layout[f"xaxis{end}"]["anchor"] = f"y{end}"
        layout[f"yaxis{end}"] = yaxis | {"anchor": f"x{end}"}
        if y and panel == 0:
            layout["yaxis"]["title"] = {"text": y}
        if named_rows and panel == 1:
            layout["yaxis2"]["showticklabels"] = False
    headings = [heading(t, domain[0]) for t, domain in zip(titles, HALVES, strict=True)]
    return theme.figure(
        traces,
        height=height,
        annotations=[*headings, *notes],
        shapes=list(shapes),
        margin=MARGIN,
        legend=LEGEND,
        **layout,
    )
