"""The contest: AUROC of every reader on texts that it has not seen, its family by colour."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.evaluate.contest_results import FAMILIES, Contest, ContestRow, Family
from bezoar.report import theme
from bezoar.report.numbers import estimate

COLOURS: dict[Family, str] = {
    "sae": theme.ORANGE,
    "dense": theme.BLUE,
    "untrained": theme.PURPLE,
    "baseline": theme.GREY,
}
ROW = 30  # pixels


def contest(found: Contest) -> Any:
    """One line a reader: the best of its kind by cross-validation on the training texts.

    Dots are AUROC on the report texts with 95 % intervals; the ring is the best of its family by
    cross-validation, which is the one that the verdict compares.
    """
    rows = [row for family in FAMILIES for row in _ranked(found, family)]
    bests = {best.label for family in FAMILIES if (best := found.best(family)) is not None}
    names = [theme.wrapped(row.label, 44) for row in rows]
    narrow = [theme.wrapped(row.label, 22) for row in rows]
    return theme.figure(
        [_dots(rows, family, bests) for family in FAMILIES if _ranked(found, family)],
        height=110 + ROW * len(rows),
        meta={"narrow": {"yaxis.ticktext": narrow, "height": 130 + int(1.4 * ROW) * len(rows)}},
        shapes=[_chance()] if min((row.auroc.low for row in rows), default=1) < 0.55 else [],
        xaxis={"title": {"text": "AUROC on held-out texts"}, "tickformat": ".2f"},
        yaxis={"tickvals": list(range(len(rows))), "ticktext": names, "showgrid": False}
        | {"range": [len(rows) - 0.4, -0.6]},
        legend={"traceorder": "normal"},
    )


def drawn(found: Contest) -> list[ContestRow]:
    """The rows that stand for their kind; all of them if none is marked."""
    return [row for row in found.rows if row.chosen] or list(found.rows)


def _ranked(found: Contest, family: Family) -> list[ContestRow]:
    rows = [row for row in drawn(found) if row.family == family]
    return sorted(rows, key=lambda row: -row.auroc.value)


def _dots(rows: list[ContestRow], family: Family, bests: set[str]) -> Any:
    placed = [(i, row) for i, row in enumerate(rows) if row.family == family]
    values = [row.auroc.value for _, row in placed]
    best = [row.label in bests for _, row in placed]
    return go.Scatter(
        name=FAMILIES[family],
        x=values,
        y=[i for i, _ in placed],
        mode="markers",
        marker={
            "size": [13 if one else 9 for one in best],
            "color": COLOURS[family],
            "symbol": ["circle" if one else "circle-open" for one in best],
            "line": {"width": 2, "color": COLOURS[family]},
        },
        error_x=theme.error_bars(
            values,
            [row.auroc.low for _, row in placed],
            [row.auroc.high for _, row in placed],
            COLOURS[family],
        ),
        customdata=[_told(row) for _, row in placed],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _told(row: ContestRow) -> str:
    return (
        f"{theme.wrapped(row.label, 50)}<br>AUROC {estimate(row.auroc)}<br>"
        f"TPR at 1 % FPR {estimate(row.tpr_at_1)}<br>{row.n_features:,} features"
    )


def _chance() -> dict[str, Any]:
    line = {"dash": "dot", "width": 1, "color": theme.GREY}
    return {"type": "line", "yref": "paper", "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1, "line": line}
