"""Figures 5 and 7-10 of Lee et al. 2024: which way the value vectors of earlier layers moved."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.compare.models import Histogram, ShiftSources, SourceLayer
from bezoar.report import theme

_ROW = 74  # pixels a layer


def figure_5_shift_sources(found: ShiftSources) -> Any:
    """A row a layer: left the cosines of δ_v to the shift, right the neurons' mean coefficients."""
    layers = found.layers
    n = len(layers)
    traces: list[Any] = []
    layout: dict[str, Any] = {}
    names = []
    for row, layer in enumerate(layers):
        top = 1 - row / n
        domain = [top - 0.8 / n, top]
        traces += _row(layer, row)
        for column in range(2):
            key = 2 * row + column + 1
            last = row == n - 1
            x = _x_axis(column, [h for s in layers if (h := _of(s, column))], last)
            layout[_axis("xaxis", key)] = x | {"anchor": _axis("y", key)}
            layout[_axis("yaxis", key)] = {"domain": domain, "anchor": _axis("x", key)} | {
                "showticklabels": False,
                "showgrid": False,
                "rangemode": "tozero",
            }
        where = {"xref": "paper", "yref": "paper", "x": 0, "y": top, "yanchor": "top"}
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


def _of(layer: SourceLayer, column: int) -> Histogram | None:
    return layer.activations if column else layer.cosines


def _row(layer: SourceLayer, row: int) -> list[Any]:
    told = (
        ("" if layer.mean_cosine is None else f"mean cosine {layer.mean_cosine:+.3f}"),
        f"{layer.negative:.0%} of the neurons below zero",
    )
    bars = []
    for column, colour in enumerate((theme.BLUE, theme.ORANGE)):
        histogram = _of(layer, column)
        if histogram is None:
            continue
        width = (histogram.high - histogram.low) / len(histogram.shares)
        bars.append(
            go.Bar(
                x=[histogram.low + (i + 0.5) * width for i in range(len(histogram.shares))],
                y=list(histogram.shares),
                width=width,
                marker={"color": colour, "line": {"width": 0}},
                xaxis=_axis("x", 2 * row + column + 1),
                yaxis=_axis("y", 2 * row + column + 1),
                hovertemplate=f"layer {layer.layer}, %{{x:.3f}}: %{{y:.1%}}<br>{told[column]}"
                "<extra></extra>",
            )
        )
    return bars


def _x_axis(column: int, histograms: list[Histogram], last: bool) -> dict[str, Any]:
    """All rows of a column have one range, so that they can be compared."""
    low = min((h.low for h in histograms), default=-1.0)
    high = max((h.high for h in histograms), default=1.0)
    title = ("cosine of δ of a value vector and δ of the stream", "mean coefficient, edited model")
    shown: dict[str, Any] = {"title": {"text": title[column]}} if last else {}
    return {
        "domain": [0.1, 0.53] if column == 0 else [0.57, 1],
        "range": [low, high],
        "showticklabels": last,
        "zeroline": True,
        "zerolinecolor": theme.GREY,
    } | shown


def _axis(name: str, number: int) -> str:
    return name if number == 1 else f"{name}{number}"
