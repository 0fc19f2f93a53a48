"""What a direction says: the tokens it raises and lowers most."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.locate import TokenList
from bezoar.report import theme

SHOWN = 12


def promoted_tokens(tokens: TokenList) -> Any:
    """Bars of ``W_U v``: the most raised tokens on top, the most lowered below."""
    up, down = tokens.promoted[:SHOWN], tokens.suppressed[:SHOWN][::-1]
    rows = [*up, *down]
    positions = list(range(len(rows)))
    bars = go.Bar(
        x=[row.score for row in rows],
        y=positions,
        orientation="h",
        marker={"color": [theme.ORANGE] * len(up) + [theme.BLUE] * len(down)},
        customdata=[visible(row.token) for row in rows],
        hovertemplate="%{customdata} %{x:.3f}<extra></extra>",
        showlegend=False,
    )
    return theme.figure(
        [bars],
        height=90 + 22 * len(rows),
        title={"text": theme.label(tokens.name), "font": {"size": 14}},
        xaxis={
            "title": {"text": "change of the logit per unit of the direction"},
            "zeroline": True,
        },
        yaxis={
            "tickvals": positions,
            "ticktext": [visible(row.token) for row in rows],
            "autorange": "reversed",
            "showgrid": False,
        },
        bargap=0.35,
    )


def visible(token: str) -> str:
    """A token as a label: blanks and line ends that matter can be seen."""
    text = token.replace("\n", "⏎").replace("\t", "⇥")
    text = "·" + text[1:] if text.startswith(" ") else text
    return theme.label(text or "∅")
