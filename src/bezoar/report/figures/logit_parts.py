"""Who writes the tokens: what each attention and each MLP adds to their logit."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bezoar.locate import LogitAttribution, LogitPart
from bezoar.report import theme
from bezoar.report.numbers import estimate

_KINDS = (("attn_out", "attention", theme.TEAL), ("mlp_out", "MLP", theme.PURPLE))


def logit_parts(found: LogitAttribution) -> Any:
    """Bars by layer, attention beside MLP, with their intervals; the embedding comes first."""
    rows = {part.component: part for part in found.parts}
    layers = sorted({int(name.partition(".")[0]) for name in rows if "." in name})
    bars = [_bars(rows, layers, *kind) for kind in _KINDS]
    if "embed" in rows:
        first = _bar([rows["embed"]], ["embed"], "embedding", theme.GREY)
        bars.insert(0, first.update(offsetgroup=_KINDS[0][1]))
    names = ["embed", *map(str, layers)]
    step = -(-len(names) // 18)
    return theme.figure(
        bars,
        height=300,
        xaxis={"title": {"text": "layer"}, "type": "category", "categoryarray": names}
        | {"categoryorder": "array", "showgrid": False, "tickvals": names[::step]},
        yaxis={"title": {"text": "added to the logit"}, "zeroline": True}
        | {"zerolinecolor": theme.GREY},
        barmode="group",
        bargap=0.35,
    )


def _bars(rows: dict[str, LogitPart], layers: list[int], point: str, name: str, colour: str) -> Any:
    parts = [(layer, rows.get(f"{layer}.{point}")) for layer in layers]
    there = [(layer, part) for layer, part in parts if part is not None]
    return _bar([part for _, part in there], [str(layer) for layer, _ in there], name, colour)


def _bar(parts: list[LogitPart], x: list[str], name: str, colour: str) -> Any:
    seen = [part.logit for part in parts]
    bars = theme.error_bars([s.value for s in seen], [s.low for s in seen], [s.high for s in seen])
    return go.Bar(
        name=name,
        offsetgroup=name,
        x=x,
        y=[s.value for s in seen],
        marker={"color": colour},
        error_y=bars | {"color": theme.GREY},
        customdata=[[part.component, estimate(part.logit, signed=True)] for part in parts],
        hovertemplate="%{customdata[0]}: %{customdata[1]}<extra></extra>",
    )
