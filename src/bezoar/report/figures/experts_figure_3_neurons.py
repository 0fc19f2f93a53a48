"""Figure 3 of EigenShift 2025, with what it lacks: how many units would be experts by chance, and
how many are left when texts of both classes are of equal lengths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from bezoar.locate import ExpertGroup, ExpertsReport, Spread
from bezoar.report import theme

_STEP = 2  # bins of the result to one of the picture: 0.01
_BANDS = {theme.ORANGE: "rgba(217,112,0,0.16)", theme.BLUE: "rgba(47,126,216,0.16)"}
_LEAST = 0.002  # of the units: what lies beyond is not worth the width


def experts_figure_3_neurons(report: ExpertsReport) -> Any:
    """Left the units by their AUROC, right the share above a threshold, with bands of shuffles."""
    group = report.groups[0]
    low, high = _range(group)
    traces = [_chance(group.all_texts)]
    for name, spread, colour in _rows(group):
        traces += [_steps(name, spread, colour), *_above(name, spread, colour)]
    title = f"{group.all_texts.units:,} units ({theme.label(', '.join(group.points))})"
    return theme.figure(
        traces,
        height=380,
        xaxis={"domain": [0, 0.46], "range": [low, high], "showgrid": False}
        | {"title": {"text": "AUROC of a unit"}},
        yaxis={"title": {"text": f"share of {title}, %"}, "rangemode": "tozero"},
        xaxis2={"domain": [0.56, 1], "range": [0.42, 0.72], "anchor": "y2", "showgrid": False}
        | {"title": {"text": "threshold"}},
        yaxis2={"title": {"text": "share above it, %"}, "range": [0, 100], "anchor": "x2"},
        shapes=[_half("x", "y domain"), _half("x2", "y2 domain")],
        meta={"min_width": 620},
    )


def _rows(group: ExpertGroup) -> list[tuple[str, Spread, str]]:
    rows = [("all texts", group.all_texts, theme.ORANGE)]
    return rows + ([("equal lengths", group.matched, theme.BLUE)] if group.matched else [])


def _half(x: str, y: str) -> dict[str, Any]:
    line = {"color": theme.FAINT, "width": 1, "dash": "dot"}
    return {"type": "line", "xref": x, "yref": y, "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1} | {
        "line": line
    }


def _range(group: ExpertGroup) -> tuple[float, float]:
    """Where units are, one half in the middle or nearer to it than the farther end."""
    spreads = [spread for _, spread, _ in _rows(group)]
    edges = [
        i / len(s.counts) for s in spreads for i, n in enumerate(s.counts) if n > _LEAST * s.units
    ]
    low, high = min([*edges, 0.45]), max([*edges, 0.54]) + 0.005
    return low - 0.01, high + 0.01


def _steps(name: str, spread: Spread, colour: str) -> Any:
    shares = _binned([count / spread.units for count in spread.counts])
    return _outline(name, shares, colour)


def _chance(spread: Spread) -> Any:
    """What units would have by shuffled labels, on average."""
    mean = spread.null_mean
    shares = _binned([a - b for a, b in pairwise(mean)])
    return _outline("shuffled labels", shares, theme.GREY, fill="tozeroy", fillcolor=theme.BAND)


def _outline(name: str, shares: Sequence[float], colour: str, **more: Any) -> Any:
    edges = [i / len(shares) for i in range(len(shares) + 1)]
    return go.Scatter(
        name=name,
        legendgroup=name,
        x=edges,
        y=[*shares, shares[-1]],
        mode="lines",
        line={"color": colour, "width": 1.8, "shape": "hv"},
        hovertemplate=f"{name}, from %{{x:.2f}}: %{{y:.1f}} %<extra></extra>",
        **more,
    )


def _binned(shares: Sequence[float]) -> list[float]:
    """Shares of the picture's bins, in per cent."""
    return [100 * sum(shares[i : i + _STEP]) for i in range(0, len(shares), _STEP)]


def _above(name: str, spread: Spread, colour: str) -> list[Any]:
    edges = [i / (len(spread.above) - 1) for i in range(len(spread.above))]
    low, high, above = (
        [100 * share for share in shares]
        for shares in (spread.null_low, spread.null_high, spread.above)
    )
    axes = {"xaxis": "x2", "yaxis": "y2", "legendgroup": name, "showlegend": False}
    band = go.Scatter(
        x=[*edges, *reversed(edges)],
        y=[*high, *reversed(low)],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=_BANDS[colour],
        hoverinfo="skip",
        **axes,
    )
    line = go.Scatter(
        x=edges,
        y=above,
        mode="lines",
        line={"color": colour, "width": 2.2},
        customdata=[f"{a:.1f} to {b:.1f} %" for a, b in zip(low, high, strict=True)],
        hovertemplate=f"{name}, above %{{x:.3f}}: %{{y:.1f}} %"
        "<br>under shuffled labels %{customdata}<extra></extra>",
        **axes,
    )
    return [band, line]
