"""Figures 5 and 7-10 of Lee et al. 2024: which way the value vectors of earlier layers moved."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bezoar.compare.models import Histogram, ShiftSources, SourceLayer
from bezoar.report import theme

WITHIN = 0.9
"""Of all neurons: how many stand apart; the rest, furthest above zero, are one last bar."""
_ROW = 74  # pixels a layer
_LEFT, _RIGHT = (0.0, 0.45), (0.57, 1.0)


def figure_5_shift_sources(found: ShiftSources) -> Any:
    """A row a layer: left the cosines of δ_v to the shift, right the neurons' mean coefficients.

    A few neurons that always fire would stretch the right column until zero is one bar; those
    beyond `WITHIN` of all are one bar at its end, called "more".
    """
    layers = found.layers
    n = len(layers)
    cut = _cut([layer.activations for layer in layers])
    traces: list[Any] = []
    layout: dict[str, Any] = {}
    names = []
    for row, layer in enumerate(layers):
        top = 1 - row / n
        domain = [top - 0.75 / n, top]
        traces += _row(layer, row, cut)
        for column in range(2):
            key = 2 * row + column + 1
            last = row == n - 1
            x = _right_axis(layers, cut, last) if column else _left_axis(layers, last)
            layout[_axis("xaxis", key)] = x | {"anchor": _axis("y", key)}
            layout[_axis("yaxis", key)] = _y_axis(row == n // 2) | {
                "domain": domain,
                "anchor": _axis("x", key),
            }
        where = {"xref": "paper", "yref": "paper", "x": 0, "y": top, "yanchor": "bottom"}
        moved = "" if layer.moved else ": no value vector moved"
        names.append(where | {"xanchor": "left", "text": f"layer {layer.layer}{moved}"})
    return theme.figure(
        traces,
        height=max(180, 90 + _ROW * n),
        annotations=names,
        bargap=0,
        showlegend=False,
        meta={"min_width": 480},
        **layout,
    )


def _cut(found: Sequence[Histogram]) -> int:
    """Bins before the bar of what is more: the fewest with `WITHIN` of all neurons, that go as far
    above zero as below.

    The end bins of a histogram hold what lies beyond it, so that its last is never one of them.
    """
    if not found:
        return 0
    bins = len(found[0].shares)
    least = int(np.ceil(-2 * found[0].low / _width(found[0])))
    mean = [sum(h.shares[i] for h in found) / len(found) for i in range(bins)]
    first = next((i for i, share in enumerate(accumulate(mean)) if share >= WITHIN), bins)
    return max(1, min(max(first + 1, least), bins - 1))


def _row(layer: SourceLayer, row: int, cut: int) -> list[Any]:
    bars = []
    if (cosines := layer.cosines) is not None:
        told = "" if layer.mean_cosine is None else f"mean cosine {layer.mean_cosine:+.3f}"
        bars.append(_bars(layer, cosines, len(cosines.shares), row, told))
    told = f"{layer.negative:.0%} of the neurons below zero"
    bars.append(_bars(layer, layer.activations, cut, row, told, column=1))
    more = sum(layer.activations.shares[cut:])
    centre, width = _more(layer.activations, cut)
    bars.append(
        go.Bar(
            x=[centre],
            y=[more],
            width=width,
            marker={"color": theme.GREY, "line": {"width": 0}},
            xaxis=_axis("x", 2 * row + 2),
            yaxis=_axis("y", 2 * row + 2),
            hovertemplate=f"layer {layer.layer}, more: %{{y:.1%}}<br>{told}<extra></extra>",
        )
    )
    return bars


def _bars(
    layer: SourceLayer, found: Histogram, n: int, row: int, told: str, *, column: int = 0
) -> Any:
    """The first ``n`` bins."""
    width = _width(found)
    return go.Bar(
        x=[found.low + (i + 0.5) * width for i in range(n)],
        y=list(found.shares[:n]),
        width=width,
        marker={"color": theme.ORANGE if column else theme.BLUE, "line": {"width": 0}},
        xaxis=_axis("x", 2 * row + column + 1),
        yaxis=_axis("y", 2 * row + column + 1),
        hovertemplate=f"layer {layer.layer}, %{{x:.3f}}: %{{y:.1%}}<br>{told}<extra></extra>",
    )


def _width(found: Histogram) -> float:
    return (found.high - found.low) / len(found.shares)


def _more(found: Histogram, cut: int) -> tuple[float, float]:
    """Centre and width of the bar of what is more, a gap after the others."""
    width = max(_width(found), cut * _width(found) / 20)
    return found.low + cut * _width(found) + 1.5 * width, width


def _y_axis(titled: bool) -> dict[str, Any]:
    title = {"title": {"text": "proportion", "font": {"size": 11}, "standoff": 4}}
    ticks = {"nticks": 3, "tickformat": ".0%", "tickfont": {"size": 10}}
    return {"showgrid": False, "rangemode": "tozero", **ticks} | (title if titled else {})


def _left_axis(layers: Sequence[SourceLayer], last: bool) -> dict[str, Any]:
    found = [layer.cosines for layer in layers if layer.cosines is not None]
    low = min((h.low for h in found), default=-1.0)
    high = max((h.high for h in found), default=1.0)
    return _x_axis("cosine of δ of a value vector and δ of the stream", _LEFT, last) | {
        "range": [low, high]
    }


def _right_axis(layers: Sequence[SourceLayer], cut: int, last: bool) -> dict[str, Any]:
    """All rows of a column have one range, so that they can be compared."""
    first = layers[0].activations
    centre, width = _more(first, cut)
    ticks = _ticks(first.low, first.low + cut * _width(first))
    shown = {"tickvals": [*ticks, centre], "ticktext": [*(f"{t:g}" for t in ticks), "more"]}
    return _x_axis("mean coefficient, edited model", _RIGHT, last) | {
        "range": [first.low, centre + width],
        **shown,
    }


def _ticks(low: float, high: float) -> list[float]:
    """A few round numbers, zero among them."""
    rough = (high - low) / 3
    unit = 10.0 ** np.floor(np.log10(rough))
    step = unit * max((m for m in (1, 2, 5) if m * unit <= rough), default=1)
    places = range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)
    return [float(f"{i * step:.6g}") for i in places]


def _x_axis(title: str, domain: tuple[float, float], last: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"title": {"text": title}} if last else {}
    return {
        "domain": list(domain),
        "showticklabels": last,
        "zeroline": True,
        "zerolinecolor": theme.GREY,
    } | shown


def _axis(name: str, number: int) -> str:
    return name if number == 1 else f"{name}{number}"
