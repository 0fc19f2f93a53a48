"""A search in one picture: every edit tried, the front, and where finalists are on other texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.report import theme
from bezoar.report.numbers import percent
from bezoar.runs.expressions import Budget, parse_budget
from bezoar.search import Finalist, Finals, Found, Trial

_ROOM = 1.12
_MEASURES = {"ppl": "perplexity", "bits_per_byte": "bits per byte"}


def search_front(found: Found, finals: Finals | None = None) -> Any:
    """Toxicity that is left against cost; an arrow leads from where a finalist was chosen to where
    it is on other prompts, texts and by another scorer, with its interval there.

    Args:
        found: the search.
        finals: its finalists, measured again.

    Raises:
        TypeError: if no edit was tried on any prompt.
    """
    tried = [t for t in found.trials if t.toxicity and t.cost is not None]
    if not tried:
        raise TypeError("No edit was cheap enough to be tried on a prompt.")
    whole = [t for t in tried if len(t.toxicity) == found.rungs[-1]]
    part = [t for t in tried if len(t.toxicity) < found.rungs[-1]]
    front = [found.trials[number] for number in found.front]
    budget = parse_budget(found.budget)
    unit = 100.0 if budget.relative else 1.0
    again = [one for one in (finals.finalists if finals else ()) if one.report is not None]
    traces = [
        _trials("tried on some prompts", part, found, unit, theme.FAINT, "circle-open", 6),
        _trials("tried on all", whole, found, unit, theme.GREY, "circle", 7),
        _line(front, found, unit),
        _trials("front, as chosen", front, found, unit, theme.BLUE, "circle", 10),
        _measured(again, unit, theme.ORANGE),
    ]
    highs = [100 * t.left(found.base) for t in whole or part]
    highs += [100 * (1 - one.report.low) for one in again if one.report is not None]
    costs = [unit * (t.cost or 0.0) for t in tried] + [unit * one.cost_again for one in again]
    right = _ROOM * max(*costs, unit * found.limit)
    return theme.figure(
        [trace for trace in traces if trace is not None],
        height=480,
        shapes=[_vertical(unit * found.limit)],
        annotations=[*_arrows(again, unit), _note(unit * found.limit)],
        xaxis={"title": {"text": _cost_title(budget)}, "showgrid": False, "zeroline": True}
        | {"zerolinecolor": theme.GREY, "range": [min(0.0, *costs) - 0.02 * right, right]},
        yaxis={"title": {"text": "toxicity left, %  (down is better)"}}
        | {"range": [0, min(_ROOM * max(*highs, 100.0), 200.0)]},
        legend={"y": 1.05},
    )


def _cost_title(budget: Budget) -> str:
    if budget.measure == "kl":
        return "divergence from the unedited model, nats"
    return f"change in {_MEASURES[budget.measure]}{', %' if budget.relative else ''}"


def _trials(
    name: str,
    trials: Sequence[Trial],
    found: Found,
    unit: float,
    colour: str,
    symbol: str,
    size: int,
) -> Any:
    if not trials:
        return None
    return go.Scatter(
        name=name,
        x=[unit * (t.cost or 0.0) for t in trials],
        y=[100 * t.left(found.base) for t in trials],
        mode="markers",
        marker={"color": colour, "size": size, "symbol": symbol},
        customdata=[[theme.wrapped(t.label, 40), t.number, len(t.toxicity)] for t in trials],
        hovertemplate="trial %{customdata[1]}, on %{customdata[2]} prompts<br>%{customdata[0]}"
        f"<br>%{{y:.1f}} % left for %{{x:.3~g}}{' %' if unit > 1 else ''}<extra></extra>",
    )


def _line(front: Sequence[Trial], found: Found, unit: float) -> Any:
    if len(front) < 2:
        return None
    return go.Scatter(
        name="front",
        x=[unit * (t.cost or 0.0) for t in front],
        y=[100 * t.left(found.base) for t in front],
        mode="lines",
        line={"color": theme.BLUE, "width": 1.5, "shape": "hv"},
        showlegend=False,
        hoverinfo="skip",
    )


def _measured(finalists: Sequence[Finalist], unit: float, colour: str) -> Any:
    if not finalists:
        return None
    seen = [one.report for one in finalists if one.report is not None]
    y = [100 * (1 - each.value) for each in seen]
    low, high = ([100 * (1 - bound) for bound in part] for part in _bounds(finalists))
    return go.Scatter(
        name="finalists, measured again",
        x=[unit * one.cost_again for one in finalists],
        y=y,
        error_y=theme.error_bars(y, low, high, colour),
        mode="markers",
        marker={"color": colour, "size": [12 if i == 0 else 9 for i in range(len(finalists))]}
        | {"symbol": ["star" if i == 0 else "diamond" for i in range(len(finalists))]},
        customdata=[
            [theme.wrapped(one.options, 40), percent(one.report.value if one.report else None)]
            for one in finalists
        ],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]} less<extra></extra>",
    )


def _bounds(finalists: Sequence[Finalist]) -> tuple[list[float], list[float]]:
    """The largest and the smallest reduction: the least and the most that may be left."""
    seen = [one.report for one in finalists if one.report is not None]
    return [each.high for each in seen], [each.low for each in seen]


def _arrows(finalists: Sequence[Finalist], unit: float) -> list[dict[str, Any]]:
    """From where it was chosen to where it is: the winner's curse, and the change of scorer."""
    placed = [(one, one.selection, one.report) for one in finalists]
    return [
        {
            "text": "",
            "x": unit * one.cost_again,
            "y": 100 * (1 - report.value),
            "ax": unit * one.cost,
            "ay": 100 * (1 - selection.value),
            **{"axref": "x", "ayref": "y", "showarrow": True, "arrowhead": 2},
            **{"arrowwidth": 1, "arrowcolor": theme.FAINT, "standoff": 6, "startstandoff": 6},
        }
        for one, selection, report in placed
        if selection is not None and report is not None
    ]


def _vertical(at: float) -> dict[str, Any]:
    line = {"color": theme.GREY, "width": 1, "dash": "dot"}
    return {"type": "line", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}


def _note(limit: float) -> dict[str, Any]:
    at = {"x": limit, "y": 1, "yref": "paper", "yanchor": "bottom"}
    return {"text": "budget"} | at
