"""When the model decides: the probability of the tokens by depth, through the logit lens."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.locate import LensResult
from bezoar.report import theme
from bezoar.report.figures.promoted_tokens import visible

NAMED = 3  # components named in the picture


def lens_curve(lens: LensResult, other: LensResult | None = None) -> Any:
    """Mean over prompts with its 95 % interval; grey stripes are the steps that an MLP takes.

    Args:
        lens: drawn with its interval.
        other: the same states through another lens, drawn as a second line.
    """
    x = list(range(len(lens.states)))
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    traces = [
        go.Scatter(x=x, y=list(lens.high), **band),
        go.Scatter(x=x, y=list(lens.low), fill="tonexty", fillcolor=_FILL, **band),
        _line(lens, theme.BLUE, "solid"),
    ]
    if other is not None and other.states == lens.states:
        traces.append(_line(other, theme.ORANGE, "dot"))
    stripes = [
        {"type": "rect", "yref": "paper", "x0": i, "x1": i + 1, "y0": 0, "y1": 1}
        | {"fillcolor": theme.BAND, "line": {"width": 0}, "layer": "below"}
        for i, step in enumerate(lens.increments)
        if step.component.endswith(".mlp_out")
    ]
    ticks = layer_ticks(lens.states)
    return theme.figure(
        traces,
        height=360,
        shapes=stripes,
        annotations=_names(lens),
        showlegend=len(traces) > 3,
        xaxis={"title": {"text": "layer"}, "showgrid": False, "range": [-0.5, len(x) - 0.5]}
        | {"tickvals": list(ticks.values()), "ticktext": list(ticks)},
        yaxis={"title": {"text": f"probability of {_tokens(lens)}"}, "rangemode": "tozero"},
    )


_FILL = "rgba(47,126,216,0.22)"
LENSES = {"default": "each state's own norm", "frozen_scale": "the last state's scale"}


def _line(lens: LensResult, colour: str, dash: str) -> Any:
    return go.Scatter(
        name=LENSES.get(lens.mode, lens.mode),
        x=list(range(len(lens.states))),
        y=list(lens.mean),
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 5, "color": colour},
        customdata=[[theme.label(state_name(state))] for state in lens.states],
        hovertemplate="%{customdata[0]}: %{y:.4f}<extra></extra>",
    )


def state_name(state: str) -> str:
    """``3.resid_mid`` as ``3 mid``."""
    layer, _, point = state.partition(".")
    return f"{layer} {point.removeprefix('resid_')}".strip()


def _names(lens: LensResult) -> list[dict[str, Any]]:
    places = {step.component: i for i, step in enumerate(lens.increments)}
    best = [step for step in lens.top_components(NAMED) if step.change.low > 0]
    return [
        {
            "x": places[step.component] + 1,
            "y": lens.mean[places[step.component] + 1],
            "text": theme.label(step.component),
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": theme.GREY,
            "ax": -14 if right else 14,
            "ay": -26 - 18 * nth,
            "xanchor": "right" if right else "left",
        }
        for nth, step in enumerate(best)
        for right in (2 * places[step.component] > len(lens.states),)
    ]


def layer_ticks(states: tuple[str, ...], most: int = 16) -> dict[str, int]:
    """Label and place of the first state of each layer, and of the last state."""
    first: dict[int, int] = {}
    for index, state in enumerate(states):
        first.setdefault(int(state.partition(".")[0]), index)
    step = -(-len(first) // most)
    shown = {str(layer): index for layer, index in first.items() if layer % step == 0}
    return shown | {"out": len(states) - 1}


def _tokens(lens: LensResult) -> str:
    more = len(lens.tokens) - 1
    return f"‘{visible(lens.tokens[0])}’" + (f" and {more} more" if more else "")
