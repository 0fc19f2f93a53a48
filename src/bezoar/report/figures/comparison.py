"""What helps: the change of toxicity and of perplexity by each method, beside its nulls."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from bezoar.errors import NoFigure
from bezoar.evaluate import MethodRow, Metric, Scorecard
from bezoar.report import theme
from bezoar.report.blocks import Tone
from bezoar.report.numbers import estimate, plural
from bezoar.stats.nulls import FEWEST_DRAWS

# metric of the change, scale, axis title
PANELS = (
    ("toxicity", 1.0, "change in toxicity  (left is better)"),
    ("perplexity_change", 100.0, "change in perplexity, %"),
)


def comparison(card: Scorecard) -> Any:
    """Dots with 95 % intervals, one line a method; grey bands are its nulls.

    Raises:
        NoFigure: if the scorecard holds no method.
    """
    pairs = with_nulls(card)
    if not pairs:
        raise NoFigure(
            "This scorecard holds no method to draw.", hint="Give build_scorecard a candidate."
        )
    placed = [
        (row, len(pairs) - i) for i, (method, nulls) in enumerate(pairs) for row in (*nulls, method)
    ]
    traces: list[Any] = []
    for panel, (name, scale, _) in enumerate(PANELS, start=1):
        for kind in ("null edits", "folds into weights", "needs a patch"):
            found = [(r, y) for r, y in placed if _kind(r) == kind and name in r.change]
            if found:
                rows = [row for row, _ in found]
                seen = [_scaled(row.change[name], scale) for row in rows]
                trace = _intervals(kind, rows, seen, [y for _, y in found])
                axes = {"xaxis": f"x{panel}", "yaxis": f"y{panel}", "showlegend": panel == 1}
                traces.append(trace.update(axes))
    return _figure(traces, [method for method, _ in pairs])


def with_nulls(card: Scorecard) -> list[tuple[MethodRow, list[MethodRow]]]:
    """Each method with its nulls (a scorecard puts them right after), least toxic first."""
    pairs: list[tuple[MethodRow, list[MethodRow]]] = []
    for row in card.rows:
        if row.kind == "method":
            pairs.append((row, []))
        elif row.kind == "null" and pairs:
            pairs[-1][1].append(row)
    placed = [pair for pair in pairs if "toxicity" in pair[0].change]
    return sorted(placed, key=lambda pair: (pair[0].change["toxicity"].value, pair[0].label))


def too_few_nulls(row: MethodRow) -> bool:
    """Whether it has null edits, but so few that nothing is decided by them, either way.

    The corrected p-value resamples prompts and speaks of these draws only.
    """
    return row.holm_p is not None and row.n_draws < FEWEST_DRAWS


def beats_its_nulls(row: MethodRow) -> bool | None:
    """Whether it does better than every null draw, and its corrected p-value is under 0.05.

    None if there were no nulls, or too few to decide (`too_few_nulls`).
    """
    if row.holm_p is None or row.rank_p is None or row.n_draws < FEWEST_DRAWS:
        return None
    best_of_all = row.rank_p <= 1 / (row.n_draws + 1) + 1e-9
    return best_of_all and row.holm_p < 0.05


def null_draws_wanted(row: MethodRow, drawn: int) -> int:
    """How many null edits of each kind, of which ``drawn`` were made, give a rank p of 0.05."""
    return math.ceil(FEWEST_DRAWS * drawn / row.n_draws)


def proven(row: MethodRow) -> bool:
    """Whether toxicity fell beyond its interval, and both tests against the nulls say so."""
    return row.change["toxicity"].high < 0 and bool(beats_its_nulls(row))


def p_tone(row: MethodRow) -> Tone:
    """How a method's p against its nulls is set: quiet if these are too few to decide."""
    if too_few_nulls(row):
        return "muted"
    return "good" if "toxicity" in row.change and proven(row) else ""


def drawn_note(row: MethodRow) -> str:
    """How many null edits a p is of: ``20 draws``, ``1 draw, too few``."""
    return plural(row.n_draws, "draw") + (", too few" if too_few_nulls(row) else "")


TOO_FEW = f"Grey, “too few”: fewer than {FEWEST_DRAWS} null edits, whose p decides nothing."
"""What a caption says of such a p."""


def _kind(row: MethodRow) -> str:
    if row.kind == "null":
        return "null edits"
    return "folds into weights" if row.foldable else "needs a patch"


def _scaled(metric: Metric, scale: float) -> Metric:
    value, low, high = (scale * part for part in (metric.value, metric.low, metric.high))
    return replace(metric, value=value, low=low, high=high)


def _intervals(kind: str, rows: list[MethodRow], seen: list[Metric], heights: list[int]) -> Any:
    values = [m.value for m in seen]
    bars = theme.error_bars(values, [m.low for m in seen], [m.high for m in seen], theme.BLUE)
    marker: dict[str, Any] = {"size": 9, "color": theme.BLUE}
    if kind == "null edits":
        bars |= {"thickness": 14, "color": theme.BAND}
        marker = {"size": 14, "color": theme.GREY, "symbol": "line-ns-open"}
    elif kind == "needs a patch":
        marker |= {"symbol": "circle-open", "line": {"width": 2}}
    return go.Scatter(
        name=kind,
        legendgroup=kind,
        x=values,
        y=heights,
        mode="markers",
        marker=marker,
        error_x=bars,
        customdata=[
            [theme.label(row.label), estimate(m, signed=True)]
            for row, m in zip(rows, seen, strict=True)
        ],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _figure(traces: list[Any], methods: list[MethodRow]) -> Any:
    n = len(methods)
    ticks = {
        "tickvals": [n - i for i in range(n)],
        "ticktext": [theme.wrapped(row.label) for row in methods],
        "range": [0.4, n + 0.6],
        "showgrid": False,
    }
    zero = {"zeroline": True, "zerolinecolor": theme.GREY, "zerolinewidth": 1}
    height = 110 + 44 * n
    return theme.figure(
        traces,
        height=height,
        meta={
            "narrow": {
                "height": 2 * height,
                "xaxis.domain": [0, 1],
                "xaxis2.domain": [0, 1],
                "yaxis.domain": [0.56, 1],
                "yaxis2.domain": [0, 0.42],
                "yaxis2.showticklabels": True,
            }
        },
        xaxis={"title": {"text": PANELS[0][2]}, "domain": [0, 0.54], "anchor": "y", **zero},
        xaxis2={"title": {"text": PANELS[1][2]}, "domain": [0.6, 1], "anchor": "y2", **zero},
        yaxis={**ticks, "anchor": "x"},
        yaxis2={**ticks, "anchor": "x2", "showticklabels": False},
    )
