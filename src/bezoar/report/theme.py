"""One quiet look for every picture, in light and dark.

A figure leaves this package with the light template. The page strips it and applies the template of
the reader's colour scheme, so no figure may fix a colour of text, grid or background; the series
colours below hold on both and stay apart for colour-blind readers.
"""

from __future__ import annotations

import html
from functools import lru_cache
from typing import Any, Literal

import plotly.graph_objects as go

Mode = Literal["light", "dark"]

BLUE = "#2f7ed8"
ORANGE = "#d97000"
TEAL = "#12876b"
PURPLE = "#9a6fc4"
GREY = "#848b94"
SERIES = (BLUE, ORANGE, TEAL, PURPLE, GREY)
BAND = "rgba(132,139,148,0.20)"
FAINT = "rgba(132,139,148,0.45)"

CJK = (
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
)
"""Fonts with Chinese signs, of which a macOS, Windows or Linux has one; asked after the Latin ones.

The page's style sheet names the same.
"""

_LATIN = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial"
_FONT = ", ".join([_LATIN, *(f"'{name}'" for name in CJK), "sans-serif"])
_INK = {"light": "#1b1f24", "dark": "#e4e7ea"}
_MUTED = {"light": "#59616b", "dark": "#a0a8b2"}
_GRID = {"light": "#e6e9ed", "dark": "#2a2f36"}
_PANEL = {"light": "#ffffff", "dark": "#1b1f24"}
_SEQUENTIAL = {
    "light": ["#f3f6fa", "#cfe0f3", "#9cc3ea", "#5e9fdc", "#2f7ed8", "#1d5aa3", "#123a6b"],
    "dark": ["#1b2027", "#1f3147", "#23466f", "#285c98", "#2f76c4", "#5a9be0", "#9cc8f5"],
}


@lru_cache(maxsize=2)
def template(mode: Mode = "light") -> go.layout.Template:
    """The plotly template of a colour scheme."""
    axis = {
        "gridcolor": _GRID[mode],
        "linecolor": _GRID[mode],
        "zeroline": False,
        "ticks": "",
        "ticklabelstandoff": 5,
        "automargin": True,
        "title": {"font": {"size": 13, "color": _MUTED[mode]}, "standoff": 10},
        "tickfont": {"color": _MUTED[mode]},
        "fixedrange": True,
    }
    solid = {
        "gridcolor": _GRID[mode],
        "linecolor": _GRID[mode],
        "zerolinecolor": _GRID[mode],
        "showbackground": False,
        "showspikes": False,
        "title": {"font": {"size": 12, "color": _MUTED[mode]}},
        "tickfont": {"size": 11, "color": _MUTED[mode]},
    }
    layout = {
        "font": {"family": _FONT, "size": 13, "color": _INK[mode]},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(SERIES),
        "dragmode": False,
        "hoverlabel": {
            "bgcolor": _PANEL[mode],
            "bordercolor": _GRID[mode],
            "font": {"family": _FONT, "color": _INK[mode]},
            "align": "left",
        },
        "xaxis": axis,
        "yaxis": axis,
        "scene": {"xaxis": solid, "yaxis": solid, "zaxis": solid},
        "margin": {"l": 8, "r": 16, "t": 36, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "xanchor": "left"},
        "annotationdefaults": {"font": {"color": _MUTED[mode], "size": 12}, "showarrow": False},
        "shapedefaults": {"line": {"color": GREY, "width": 1}},
        "coloraxis": {
            "colorscale": _scale(_SEQUENTIAL[mode]),
            "colorbar": {"thickness": 10, "outlinewidth": 0, "tickfont": {"color": _MUTED[mode]}},
        },
    }
    return go.layout.Template(layout=layout)


def figure(
    data: list[Any], *, height: int, meta: dict[str, Any] | None = None, **layout: Any
) -> Any:
    """A figure in the light template.

    Args:
        data: traces.
        height: in pixels; the width is the page's.
        meta: what the page needs to know: ``narrow`` (layout keys in dotted form that replace
            others on a phone), ``min_width`` (pixels below which the picture scrolls sideways).
        **layout: plotly layout.
    """
    return go.Figure(data, go.Layout(template=template(), height=height, meta=meta or {}, **layout))


def label(text: object) -> str:
    """A text as a label: plotly reads ``<b>`` and its like in labels, so they are escaped."""
    return html.escape(str(text), quote=False)


def wrapped(text: object, width: int = 22) -> str:
    """A label broken at spaces into lines of about ``width`` letters."""
    lines = [""]
    for word in str(text).split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(label(line) for line in lines)


def error_bars(
    values: list[float], lows: list[float], highs: list[float], colour: str | None = None
) -> dict[str, Any]:
    """Asymmetric interval bars around values, thin and without caps."""
    bars: dict[str, Any] = {
        "type": "data",
        "symmetric": False,
        "array": [max(high - value, 0.0) for value, high in zip(values, highs, strict=True)],
        "arrayminus": [max(value - low, 0.0) for value, low in zip(values, lows, strict=True)],
        "thickness": 1.6,
        "width": 0,
    }
    return bars | ({"color": colour} if colour else {})


def _scale(colours: list[str]) -> list[list[Any]]:
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]
