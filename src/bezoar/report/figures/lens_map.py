"""What each state would say: the top token of every state at every position of one prompt."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.locate import LensResult
from bezoar.locate.lens_results import LensMap
from bezoar.report import theme
from bezoar.report.figures.lens_curve import state_name
from bezoar.report.figures.promoted_tokens import visible

ROWS = 48  # states drawn at most; a deeper model is thinned, its last state stays
LETTERS = 9


def lens_map(lens: LensResult) -> Any:
    """Heat map of one prompt, deepest state on top; the colour is the top token's probability.

    Raises:
        TypeError: if the lens carries no example prompt.
    """
    if lens.example is None:
        raise TypeError("This lens result carries no example prompt to draw.")
    example = lens.example
    step = -(-len(lens.states) // ROWS)
    kept = list(range(len(lens.states) - 1, -1, -step))[::-1]
    heat = go.Heatmap(
        z=[list(example.probability[i]) for i in kept],
        y=[state_name(lens.states[i]) for i in kept],
        x=list(range(len(example.prompt))),
        text=[[_short(token) for token in example.tokens[i]] for i in kept],
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=[[visible(token) for token in example.tokens[i]] for i in kept],
        hovertemplate="%{y}, after %{x}: %{customdata} (p = %{z:.3f})<extra></extra>",
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
    )
    return theme.figure(
        [heat],
        height=120 + 22 * len(kept),
        meta={"min_width": 110 + 62 * len(example.prompt)},
        coloraxis={"cmin": 0, "cmax": 1, "colorbar": {"title": {"text": "p", "side": "top"}}},
        xaxis={
            "tickvals": list(range(len(example.prompt))),
            "ticktext": [_short(token) for token in example.prompt],
            "side": "top",
            "showgrid": False,
            "tickangle": 0,
        },
        yaxis={"type": "category", "showgrid": False, "title": {"text": "state"}},
    )


def _short(token: str) -> str:
    return visible(token if len(token) <= LETTERS else token[: LETTERS - 1] + "…")


def prompt_text(example: LensMap) -> str:
    """The prompt as it was written."""
    return "".join(example.prompt)
