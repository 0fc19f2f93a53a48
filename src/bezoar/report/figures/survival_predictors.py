"""Can it be told without samples? Statistics of every edit against what attacks left of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bezoar.attack import Robustness, SampleFree
from bezoar.report import theme
from bezoar.report.figures.panels import places

COLUMNS = 3
PANEL, GAP = 150, 84  # pixels: a panel's height, and between panels
_NAMES = {
    "basin_width": "basin width (σ)",
    "key_margin": "key margin (sd)",
    "relative_norm": "‖ΔW‖ / ‖W‖, changed matrices",
    "stable_rank": "stable rank of ΔW",
    "value_energy": "energy left in value vectors",
}


def survival_predictors(found: Sequence[tuple[Robustness, SampleFree]]) -> Any:
    """A small panel a statistic: a dot an edit, its robustness score upwards.

    Raises:
        TypeError: if no edit has a score.
    """
    scored = [(r, s.statistics()) for r, s in found if r.score is not None]
    names = [name for name in _NAMES if any(name in told for _, told in scored)]
    if not names:
        raise TypeError("No edit has both a score and statistics.")
    wide, narrow = (
        places(len(names), columns, height=PANEL, gap=GAP, between=0.08) for columns in (COLUMNS, 1)
    )
    layout: dict[str, Any] = {}
    dots = []
    phone: dict[str, Any] = {"height": _height(len(names), 1)}
    for i, name in enumerate(names):
        tail = str(i + 1) if i else ""
        dots.append(_panel([(r, told[name]) for r, told in scored if name in told], tail))
        layout[f"xaxis{tail}"] = {"domain": wide[i][0], "anchor": f"y{tail}", "nticks": 5} | {
            "title": {"text": _NAMES[name]},
            "showgrid": False,
        }
        layout[f"yaxis{tail}"] = {
            "domain": wide[i][1],
            "anchor": f"x{tail}",
            "range": [-0.06, 1.08],
            "tickvals": [0, 0.5, 1],
            "tickformat": ".0%",
        } | ({"title": {"text": "survives"}} if i % COLUMNS == 0 else {})
        phone |= {f"xaxis{tail}.domain": narrow[i][0], f"yaxis{tail}.domain": narrow[i][1]}
    return theme.figure(
        dots,
        height=_height(len(names), COLUMNS),
        meta={"narrow": phone},
        showlegend=False,
        **layout,
    )


def _panel(rows: list[tuple[Robustness, float]], tail: str) -> Any:
    scores = [r.score for r, _ in rows if r.score is not None]
    values = [score.value for score in scores]
    return go.Scatter(
        x=[value for _, value in rows],
        y=values,
        mode="markers",
        marker={"size": 9, "color": theme.BLUE},
        error_y=theme.error_bars(values, [s.low for s in scores], [s.high for s in scores])
        | {"color": theme.FAINT},
        customdata=[theme.label(r.edit) for r, _ in rows],
        hovertemplate="%{customdata}: %{x:.3g}, %{y:.0%} survives<extra></extra>",
        xaxis=f"x{tail}",
        yaxis=f"y{tail}",
    )


def _height(n: int, columns: int) -> int:
    rows = -(-n // min(columns, n))
    return rows * PANEL + (rows - 1) * GAP + 100
