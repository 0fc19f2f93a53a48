"""Detection is not generation: what edits take from writing against what they take from reading."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.errors import NoFigure
from bezoar.evaluate.detection_results import Detection, DetectorScore, EditDetection
from bezoar.report import theme
from bezoar.report.numbers import estimate
from bezoar.stats import Interval

_LEFT = {"probe": theme.BLUE, "unembed_in": theme.TEAL, "unembed_edited": theme.PURPLE}
_RIGHT = {"logits": theme.ORANGE, "says": theme.GREY}
_NAMES = {
    "probe": "probe",
    "unembed_in": "what the unembedding reads",
    "unembed_edited": "the same, as edited",
    "logits": "probe on log-probabilities",
    "says": "probability of telling words",
}


def detection(found: Detection) -> Any:
    """Change of toxicity against change of AUROC, each edit once for every detector.

    Left: detectors in the states; right: through the logits. Hollow marks cannot change by
    construction. Down is blinder, left is less toxic; the old probe is left to the table.

    Raises:
        NoFigure: if there is no edit whose toxicity was measured.
    """
    shown = [edit for edit in found.edits if edit.toxicity is not None]
    if not shown:
        raise NoFigure(
            "No edit was measured both as a writer and as a reader.",
            hint="Ask for a method: --methods eigenshift.",
        )
    traces = []
    for axis, detectors in (("", _LEFT), ("2", _RIGHT)):
        for name, colour in detectors.items():
            marks = [
                (edit, edit.toxicity, score)
                for edit in shown
                if edit.toxicity is not None and (score := edit.score(name)) is not None
            ]
            if marks:
                axes = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
                traces.append(_marks(name, colour, marks) | axes)
    return theme.figure(
        [go.Scatter(trace) for trace in traces],
        height=420,
        meta={
            "narrow": {
                "height": 760,
                "xaxis.domain": [0, 1],
                "xaxis2.domain": [0, 1],
                "yaxis.domain": [0.58, 1],
                "yaxis2.domain": [0, 0.42],
                "yaxis2.showticklabels": True,
            }
        },
        shapes=[_line(axis, way) for axis in ("", "2") for way in ("x", "y")],
        legend={"traceorder": "normal"},
        xaxis=_axis("change of toxicity, read in the states", (0.0, 0.47), "y"),
        xaxis2=_axis("change of toxicity, read through the logits", (0.53, 1.0), "y2"),
        yaxis={"title": {"text": "change of AUROC"}, "anchor": "x"},
        yaxis2={"anchor": "x2", "matches": "y", "showticklabels": False},
    )


def _marks(
    name: str, colour: str, marks: list[tuple[EditDetection, Interval, DetectorScore]]
) -> dict[str, Any]:
    x = [toxicity.value for _, toxicity, _ in marks]
    y = [score.change.value for *_, score in marks]
    lows = [s.change.value if s.identity else s.change.low for *_, s in marks]
    highs = [s.change.value if s.identity else s.change.high for *_, s in marks]
    toxicities = [toxicity for _, toxicity, _ in marks]
    told = [
        f"{theme.label(edit.label)}<br>toxicity {estimate(toxicity)}<br>{_NAMES[name]} "
        + (theme.label(score.why) if score.identity else estimate(score.change))
        for edit, toxicity, score in marks
    ]
    return {
        "name": _NAMES[name],
        "x": x,
        "y": y,
        "mode": "markers",
        "marker": {
            "size": 9,
            "color": colour,
            "symbol": ["circle-open" if s.identity else "circle" for *_, s in marks],
        },
        "error_x": theme.error_bars(
            x, [t.low for t in toxicities], [t.high for t in toxicities], colour
        ),
        "error_y": theme.error_bars(y, lows, highs, colour),
        "customdata": told,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _axis(title: str, domain: tuple[float, float], anchor: str) -> dict[str, Any]:
    return {"title": {"text": title}, "domain": [*domain], "anchor": anchor, "tickformat": "+.2f"}


def _line(axis: str, way: str) -> dict[str, Any]:
    """No change, along one axis of a panel."""
    at = {"x0": 0, "x1": 0, "y0": 0, "y1": 1, "xref": f"x{axis}", "yref": f"y{axis} domain"}
    if way == "y":
        at = {"x0": 0, "x1": 1, "y0": 0, "y1": 0, "xref": f"x{axis} domain", "yref": f"y{axis}"}
    return {"type": "line", "line": {"dash": "dot", "width": 1, "color": theme.GREY}} | at
