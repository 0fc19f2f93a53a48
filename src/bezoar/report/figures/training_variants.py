"""What training needs: how far each variant of it moved the weights, and what that bought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bezoar.evaluate import Metric
from bezoar.report import theme
from bezoar.report.numbers import estimate, percent

LABEL_GAP = 0.075  # of the height, between two labels


@dataclass(frozen=True, slots=True)
class Variant:
    """One training: its name, ‖ΔW‖ / ‖W‖, and what it changed (toxicity, perplexity)."""

    name: str
    relative: float
    change: Metric
    cost: Metric | None = None


def training_variants(found: Sequence[Variant]) -> Any:
    """Change of toxicity against relative drift of the weights (a log axis), both as trained.

    Raises:
        TypeError: if there is no variant.
    """
    if not found:
        raise TypeError("There is no training to draw.")
    x = [100 * each.relative for each in found]
    y = [each.change.value for each in found]
    lows, highs = [each.change.low for each in found], [each.change.high for each in found]
    dots = go.Scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"size": 10, "color": theme.BLUE},
        error_y=theme.error_bars(y, lows, highs, theme.BLUE),
        customdata=[_told(each) for each in found],
        hovertemplate="%{customdata}<extra></extra>",
    )
    moved = [value for value in x if value > 0] or [1.0]  # what did not move is not drawn
    left, right = np.log10(min(moved)), np.log10(max(moved))
    left, right = left - 0.05 * (right - left) - 0.1, right + 0.05 * (right - left) + 0.1
    wide = right - left
    bottom, top = min(0.0, *lows), max(0.0, *highs)
    bottom, top = bottom - 0.08 * (top - bottom), top + 0.08 * (top - bottom)
    labels = _labels([v for v in found if v.relative > 0], right, (bottom, top))
    return theme.figure(
        [dots],
        height=max(360, 110 + 30 * len(found)),
        showlegend=False,
        meta={"narrow": {"xaxis.range": [left, right + 1.3 * wide]}},
        annotations=labels,
        xaxis={"title": {"text": "‖ΔW‖ / ‖W‖ of all weights, %"}, "type": "log"}
        | {"range": [left, right + 0.5 * wide], "showgrid": False, "dtick": "D2"},
        yaxis={"title": {"text": "change in toxicity, as trained"}, "range": [bottom, top]}
        | {"zeroline": True, "zerolinecolor": theme.GREY},
    )


def _labels(
    found: Sequence[Variant], x: float, heights: tuple[float, float]
) -> list[dict[str, Any]]:
    """Names in a column on the right, in the order of the dots, tied to them by thin lines.

    On a log axis an annotation stands at a power of ten.
    """
    bottom, top = heights
    step = min(LABEL_GAP * (top - bottom), 0.9 * (top - bottom) / len(found))
    placed: list[dict[str, Any]] = []
    below = bottom
    ordered = sorted(found, key=lambda each: each.change.value)
    for i, each in enumerate(ordered):
        room = top - step * (len(ordered) - i - 0.5)
        below = min(max(each.change.value, below + step if i else bottom), room)
        placed.append(
            {
                "text": theme.label(each.name),
                "x": np.log10(100 * each.relative),
                "y": each.change.value,
            }
            | {"ax": x, "ay": below, "axref": "x", "ayref": "y", "xanchor": "left"}
            | {"showarrow": True, "arrowhead": 0, "arrowwidth": 0.7, "arrowcolor": theme.FAINT}
            | {"standoff": 7}
        )
    return placed


def _told(each: Variant) -> str:
    told = f"{theme.label(each.name)}<br>toxicity {estimate(each.change, signed=True)}"
    cost = "" if each.cost is None else f"<br>perplexity {percent(each.cost.value, signed=True)}"
    return f"{told}{cost}<br>‖ΔW‖ / ‖W‖ of all weights {percent(each.relative, digits=2)}"
