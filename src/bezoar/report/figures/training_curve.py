"""How a model learnt its preferences: validation loss, and what it cost in KL."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from bezoar.mitigate.preference import TrainingLog
from bezoar.report import theme


def training_curve(log: TrainingLog) -> Any:
    """Loss of every step and of the kept-out pairs above, their KL to the reference below.

    The dotted line is ln 2, where DPO begins; the ring is the state that was kept.
    """
    x = [point.step for point in log.validation]
    sizes = [12 if point.step == log.best_step else 5 for point in log.validation]
    rings = [2 if point.step == log.best_step else 0 for point in log.validation]
    marker = {"size": sizes, "line": {"width": rings, "color": theme.GREY}}
    traces = [
        _line("training pairs", [s.step for s in log.steps], [s.loss for s in log.steps]),
        _curve("kept-out pairs", x, [p.loss for p in log.validation], theme.BLUE, marker),
        _curve("KL to the reference", x, [p.kl for p in log.validation], theme.ORANGE, {"size": 5})
        | {"yaxis": "y2"},
    ]
    start = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": math.log(2)}
    shapes = [start | {"y1": math.log(2), "line": {"dash": "dot", "width": 1, "color": theme.GREY}}]
    return theme.figure(
        [go.Scatter(trace) for trace in traces],
        height=380,
        shapes=shapes if log.objective == "dpo" else [],
        xaxis={"title": {"text": "steps"}, "showgrid": False, "anchor": "y2"},
        yaxis={"title": {"text": "loss"}, "domain": [0.42, 1.0]},
        yaxis2={"title": {"text": "KL, nats a token"}, "domain": [0.0, 0.3], "rangemode": "tozero"},
    )


def _line(name: str, x: list[int], y: list[float]) -> dict[str, Any]:
    line = {"color": theme.FAINT, "width": 1}
    hover = "step %{x}: %{y:.4f}<extra></extra>"
    return {"name": name, "x": x, "y": y, "mode": "lines", "line": line, "hovertemplate": hover}


def _curve(
    name: str, x: list[int], y: list[float], colour: str, marker: dict[str, Any]
) -> dict[str, Any]:
    curve = _line(name, x, y) | {"mode": "lines+markers", "line": {"color": colour, "width": 2}}
    return curve | {"marker": marker | {"color": colour}}
