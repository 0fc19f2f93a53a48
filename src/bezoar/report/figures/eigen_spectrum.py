"""Where in the unembedding's spectrum the states before toxic tokens differ from others."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.evaluate.eigen_results import EigenSpectrum
from bezoar.report import theme
from bezoar.report.numbers import percent

_TICKS = [float(f"{digit}e{power}") for power in range(-6, 7) for digit in (1, 2, 5)]


def eigen_spectrum(found: EigenSpectrum) -> Any:
    """|Δ_i| of every singular direction against its σ_i; what is chosen is filled.

    Rings are what the published program chooses, the line is the 95th percentile with shuffled
    states.
    """
    chosen = set(found.chosen)
    rest = [i for i in range(len(found.sigma)) if i not in chosen]
    share = {name: percent(value) for name, value in found.captured.items()}
    traces = [
        _dots(found, rest, "others", theme.FAINT, "circle"),
        _dots(
            found, list(found.chosen), f"chosen: {share['correct']} of ‖Δ‖²", theme.BLUE, "circle"
        ),
        _dots(
            found,
            list(found.published),
            f"by the program: {share['code']} (chance {share['chance']})",
            theme.ORANGE,
            "circle-open",
        ),
        _null(found),
    ]
    states = f"{found.states[0]} toxic states against {found.states[1]}"
    return theme.figure(
        traces,
        height=440,
        meta={"narrow": {"height": 520}},
        xaxis={"title": {"text": "singular value σ of the unembedding"}, "type": "log"}
        | {"tickvals": _TICKS},
        yaxis={"title": {"text": f"|Δ|, {states}"}, "rangemode": "tozero"},
        legend={"y": 1.12},
    )


def _dots(found: EigenSpectrum, rows: list[int], name: str, colour: str, symbol: str) -> Any:
    rows = [i for i in rows if found.sigma[i] > 0]
    width = {"line": {"width": 1.6}} if symbol.endswith("open") else {}
    size = 11 if symbol.endswith("open") else 7
    return go.Scatter(
        name=name,
        x=[found.sigma[i] for i in rows],
        y=[abs(found.delta[i]) for i in rows],
        mode="markers",
        marker={"color": colour, "size": size, "symbol": symbol} | width,
        customdata=[[i, f"{found.delta[i]:+.3g}"] for i in rows],
        hovertemplate="direction %{customdata[0]}<br>σ = %{x:.3g}<br>Δ = %{customdata[1]}"
        "<extra></extra>",
    )


def _null(found: EigenSpectrum) -> Any:
    rows = [i for i in range(len(found.sigma)) if found.sigma[i] > 0]
    return go.Scatter(
        name="shuffled states, 95th percentile",
        x=[found.sigma[i] for i in rows],
        y=[found.null_high[i] for i in rows],
        mode="lines",
        line={"color": theme.GREY, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
