"""How many labels a reader needs: AUROC on the same texts after training on fewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.errors import NoFigure
from bezoar.evaluate.contest_results import Contest, CurvePoint
from bezoar.report import theme
from bezoar.report.figures.contest import COLOURS
from bezoar.report.numbers import number

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "x")


def contest_efficiency(found: Contest) -> Any:
    """Mean AUROC by labels on a logarithmic axis, one line a reader.

    Bars span the draws of so many labels, from the least to the largest: they are no intervals of
    the mean.

    Raises:
        NoFigure: if no learning curve was drawn.
    """
    if not found.efficiency:
        raise NoFigure("The contest drew no learning curves.", hint="Give contest.sizes.")
    sizes = sorted({point.labels for point in found.efficiency})
    return theme.figure(
        lines(found.efficiency, "labels"),
        height=400,
        meta={"narrow": {"height": 480}},
        xaxis={
            "title": {"text": "labelled training texts"},
            "type": "log",
            "tickvals": _apart(sizes),
        }
        | {"tickformat": ","},
        yaxis={"title": {"text": "AUROC on held-out texts"}, "tickformat": ".2f"},
        legend={"traceorder": "normal"},
    )


def lines(points: Sequence[CurvePoint], by: str) -> list[Any]:
    """One line a reader, by an attribute of its points."""
    readers = list(dict.fromkeys((point.reader, point.family) for point in points))
    seen: dict[str, int] = {}
    traces = []
    for reader, family in readers:
        style = seen.get(family, 0) % len(_DASHES)
        seen[family] = seen.get(family, 0) + 1
        mine = sorted(
            (point for point in points if point.reader == reader), key=lambda one: getattr(one, by)
        )
        values = [point.auroc for point in mine]
        lows, highs = [point.low for point in mine], [point.high for point in mine]
        traces.append(
            go.Scatter(
                name=theme.label(reader),
                x=[getattr(point, by) for point in mine],
                y=values,
                mode="lines+markers",
                line={"color": COLOURS[family], "dash": _DASHES[style], "width": 1.8},
                marker={"color": COLOURS[family], "symbol": _SYMBOLS[style], "size": 7},
                error_y=theme.error_bars(values, lows, highs, COLOURS[family]) | {"thickness": 1},
                customdata=[_told(point) for point in mine],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    return traces


def _told(point: CurvePoint) -> str:
    wrong = f", {point.noise:.0%} of them wrong" if point.noise else ""
    return (
        f"{theme.wrapped(point.reader, 50)}<br>{point.labels:,} labels{wrong}: "
        f"{number(point.auroc)}<br>{len(point.draws)} draws, {number(point.low)} to "
        f"{number(point.high)}"
    )


def _apart(sizes: list[int]) -> list[int]:
    """The sizes as ticks, without those that would stand on the one before."""
    kept: list[int] = []
    for size in sizes:
        if not kept or size >= 1.3 * kept[-1]:
            kept.append(size)
    return kept
