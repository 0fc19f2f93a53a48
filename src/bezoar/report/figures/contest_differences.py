"""The contest in one row a question: how much better one reader is than another."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.errors import NoFigure
from bezoar.evaluate.contest_results import Contest, Difference
from bezoar.report import theme
from bezoar.report.numbers import estimate, p_value

ROW = 38  # pixels
WEAK = ("length", "source", "majority")
METRICS = {"auroc": "AUROC", "average_precision": "average precision", "tpr_at_1": "TPR at 1 % FPR"}


def contest_differences(found: Contest, metric: str = "auroc") -> Any:
    """Differences of a metric, paired by text, with 95 % intervals; filled if settled.

    The first row is the contest itself: the best reader of latents minus the best dense one. What
    is weaker than any reader by its nature (length, source, majority) is left to the table.

    Raises:
        NoFigure: if there is no difference of this metric.
    """
    rows = [one for one in found.differences if one.metric == metric and one.b not in WEAK]
    if not rows:
        raise NoFigure(f"The contest has no differences of {metric}.", hint="It has no rivals.")
    names = [_name(one, 40) for one in rows]
    values = [one.interval.value for one in rows]
    colours = [_colour(one) for one in rows]
    bars = theme.error_bars(
        values, [one.interval.low for one in rows], [one.interval.high for one in rows]
    )
    dots = go.Scatter(
        x=values,
        y=list(range(len(rows))),
        mode="markers",
        marker={
            "size": [13, *[9] * (len(rows) - 1)],
            "color": colours,
            "symbol": ["circle" if one.settled else "circle-open" for one in rows],
            "line": {"width": 2, "color": colours},
        },
        error_x=bars | {"color": theme.GREY},
        customdata=[
            f"{estimate(one.interval, signed=True)}<br>Holm p {p_value(one.holm_p)}" for one in rows
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    line = {"width": 1, "color": theme.GREY}
    zero = {"type": "line", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "line": line}
    return theme.figure(
        [dots],
        height=80 + ROW * len(rows),
        meta={
            "narrow": {
                "yaxis.ticktext": [_name(one, 22) for one in rows],
                "height": 90 + 2 * ROW * len(rows),
            }
        },
        shapes=[zero],
        xaxis={"title": {"text": f"difference of {METRICS[metric]}"}, "tickformat": "+.2f"},
        yaxis={"tickvals": list(range(len(rows))), "ticktext": names, "showgrid": False}
        | {"range": [len(rows) - 0.4, -0.6]},
        showlegend=False,
    )


def _name(one: Difference, width: int) -> str:
    return f"{theme.wrapped(one.a, width)}<br>− {theme.wrapped(one.b, width)}"


def _colour(one: Difference) -> str:
    """Of who is ahead."""
    if not one.settled:
        return theme.GREY
    return theme.TEAL if one.interval.value > 0 else theme.PURPLE
