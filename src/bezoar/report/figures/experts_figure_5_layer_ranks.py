"""Figure 5 of EigenShift: the ranks of layers by depth, over criteria, texts and resamples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bezoar.locate import LayerExperts, LayersReport
from bezoar.report import theme
from bezoar.report.figures.panels import places

BINS = 12
"""Boxes along the depth, at most: of a deep model several layers share one."""

_SIDES = {
    "clusters": (("k-means", "hierarchical", "silhouette"), theme.BLUE),
    "neurons and linear readers": (("best neuron", "mean difference", "probe"), theme.ORANGE),
}
_COLUMNS, _HEIGHT, _GAP = 2, 250, 70  # of panels


def experts_figure_5_layer_ranks(found: LayersReport) -> Any:
    """Box plots of layer rank against depth, a panel for decoders and one for encoders.

    A box holds the rank of its layers by each criterion, for each set of texts, in each bootstrap
    resample of the texts: 1 is the best layer, 0 the worst, and ½ what a layer drawn at random has.

    Raises:
        TypeError: if no model was looked at.
    """
    if not found.experts:
        raise TypeError("No model was looked at.")
    kinds = sorted({one.kind for one in found.experts})
    domains = places(len(kinds), _COLUMNS, height=_HEIGHT, gap=_GAP, between=0.08)
    traces, notes = [], []
    layout: dict[str, Any] = {}
    for number, (kind, (x, y)) in enumerate(zip(kinds, domains, strict=True)):
        end = str(number + 1) if number else ""
        some = [one for one in found.experts if one.kind == kind]
        for name, (criteria, colour) in _SIDES.items():
            boxes = _boxes(some, criteria, name, colour, first=not number)
            traces.append(boxes.update(xaxis=f"x{end}", yaxis=f"y{end}"))
        title = {"text": "share of the layers passed"}
        layout[f"xaxis{end}"] = {"domain": x, "anchor": f"y{end}", "range": [0, 1.06]}
        layout[f"xaxis{end}"] |= {"title": title, "showgrid": False, "tickformat": ".0%"}
        layout[f"yaxis{end}"] = {"domain": y, "anchor": f"x{end}", "range": [-0.04, 1.04]}
        layout[f"yaxis{end}"] |= {"title": {"text": "" if number else "rank of the layer"}}
        names = ", ".join(dict.fromkeys(f"{one.model} on {one.corpus}" for one in some))
        notes.append(
            {"x": x[0], "y": y[1], "xref": "paper", "yref": "paper", "xanchor": "left"}
            | {"yanchor": "bottom", "text": theme.wrapped(f"{kind}s: {names}", 52), "align": "left"}
        )
    narrow = places(len(kinds), 1, height=_HEIGHT, gap=_GAP, between=0.0)
    small: dict[str, Any] = {"height": 130 + len(kinds) * (_HEIGHT + _GAP)}
    for number, (_, y) in enumerate(narrow):
        end = str(number + 1) if number else ""
        small |= {f"xaxis{end}.domain": [0, 1], f"yaxis{end}.domain": y}
        small[f"annotations[{number}].x"], small[f"annotations[{number}].y"] = 0, y[1]
    return theme.figure(
        traces,
        height=_HEIGHT + 130,
        meta={"narrow": small},
        boxmode="group",
        annotations=notes,
        legend={"y": 1.16},
        margin={"l": 8, "r": 16, "t": 84, "b": 8},
        **layout,
    )


def _boxes(
    found: Sequence[LayerExperts], criteria: tuple[str, ...], name: str, colour: str, *, first: bool
) -> Any:
    depths, ranks = _ranks(found, criteria)
    places = np.unique(depths)
    if len(places) > BINS:
        depths = np.ceil(depths * BINS) / BINS
        places = np.unique(depths)
    five = np.array(
        [np.quantile(ranks[depths == at], (0.05, 0.25, 0.5, 0.75, 0.95)) for at in places]
    )
    return go.Box(
        name=name,
        x=places.tolist(),
        lowerfence=five[:, 0].tolist(),
        q1=five[:, 1].tolist(),
        median=five[:, 2].tolist(),
        q3=five[:, 3].tolist(),
        upperfence=five[:, 4].tolist(),
        marker={"color": colour},
        line={"width": 1.4},
        legendgroup=name,
        showlegend=first,
        hoverinfo="y",
    )


def _ranks(
    found: Sequence[LayerExperts], criteria: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and rank of every layer, by every criterion, in every resample."""
    depths, ranks = [], []
    for one in found:
        depth = np.array([layer.depth for layer in one.layers])
        for name in criteria:
            by = one.ranked_by(name)
            if by is not None:
                drawn = np.array([by.observed, *by.draws])
                depths.append(np.broadcast_to(depth, drawn.shape).ravel())
                ranks.append(drawn.ravel())
    return np.concatenate(depths).round(6), np.concatenate(ranks)
