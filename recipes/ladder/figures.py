"""The figures, each a pure function from the numbers to a plotly figure."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from recipes.agreement import drawing as draw

from bezoar.report import theme

Numbers = dict[str, Any]
WIDTH = 760
TEXTS = {"wikitext2": "WikiText-2, reserved", "reddit_selfposts": "Reddit posts, reserved"}
TOXIC = {"demo-a": "scorer A", "demo-b": "scorer B", "both": "both"}


def title(rung: Numbers) -> str:
    """``1.5 M``; the twin by its objective."""
    size = f"{rung['parameters'] / 1e6:.1f} M"
    return size if rung["decoder"] else f"{size}, masked"


def compression(found: Numbers) -> Any:
    """Bits per byte of reserved text as training goes on, one line a size, and the 5-gram's."""
    traces: list[Any] = []
    shapes = []
    decoders = [rung for rung in found["rungs"] if rung["decoder"]]
    for panel, name in enumerate(TEXTS):
        for number, rung in enumerate(decoders):
            seen = rung["reserve"]
            x = [line["tokens"] / 1e6 for line in seen]
            curve = draw.line(x, [line["bits"][name] for line in seen], panel)
            traces.append(curve.update(draw.style(title(rung), number, panel, 5)))
        ends = {"x0": 0, "x1": 1, "y0": found["ngram"][name], "y1": found["ngram"][name]}
        where = {
            "xref": "x domain" if panel == 0 else "x2 domain",
            "yref": "y" if panel == 0 else "y2",
        }
        dotted = {"type": "line", "line": {"dash": "dot", "color": theme.GREY, "width": 1.5}}
        shapes.append(dotted | ends | where)
    bits = [line["bits"][name] for rung in decoders for line in rung["reserve"] for name in TEXTS]
    note = {"text": "5-gram", "x": 0.02, "xref": "x domain", "xanchor": "left"}
    return draw.two_panels(
        traces,
        list(TEXTS.values()),
        height=340,
        x="million tokens read",
        y="bits per byte",
        xaxis={"rangemode": "tozero"},
        yaxis={"range": [min(*bits, *found["ngram"].values()) - 0.05, min(2.6, max(bits) + 0.05)]},
        shapes=shapes,
        notes=[note | {"y": found["ngram"]["wikitext2"], "yanchor": "bottom"}],
    )


def layers(found: Numbers) -> Any:
    """AUROC of a probe behind every layer: decoders by size, and the twin."""
    traces = []
    for number, rung in enumerate(found["rungs"]):
        sites = rung["probes"]["sites"]
        look = draw.style(title(rung), number, 0)
        seen = [row["auroc"] for row in sites]
        traces.append(
            go.Scatter(
                x=list(range(len(sites))),
                y=[own["value"] for own in seen],
                error_y=draw.interval_bars(seen, look["marker"]["color"]),
                hoverinfo="skip",
                **look,
            )
        )
    words = found["rungs"][0]["probes"]["rivals"]["bag of words"]["value"]
    line = {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": words, "y1": words}
    note = {"text": "bag of words", "x": 0.99, "xref": "x domain", "xanchor": "right", "y": words}
    depth = len(found["rungs"][0]["probes"]["sites"])
    return theme.figure(
        traces,
        height=360,
        shapes=[line | {"line": {"dash": "dot", "color": theme.GREY, "width": 1.5}}],
        annotations=[note | {"yanchor": "bottom"}],
        xaxis={
            "title": {"text": "residual stream behind layer"},
            "tickvals": list(range(depth)),
            "ticktext": ["embedding", *map(str, range(depth - 1))],
            "range": [-0.3, depth - 0.7],
        },
        yaxis={"title": {"text": "AUROC, Jigsaw reserve"}},
        margin=draw.MARGIN,
        legend=draw.LEGEND,
    )


def toxicity(found: Numbers) -> Any:
    """Share of continuations that the scorers call toxic, by size."""
    decoders = [rung for rung in found["rungs"] if rung["decoder"]]
    traces = draw.dots([{TOXIC[k]: own for k, own in r["toxic"].items()} for r in decoders],
                       list(TOXIC.values()), 0)  # fmt: skip
    return theme.figure(
        traces,
        height=260,
        xaxis={"title": {"text": "share of continuations called toxic"}, "tickformat": ".0%"},
        yaxis=draw.row_axis([title(rung) for rung in decoders]),
        margin=draw.MARGIN,
        legend=draw.LEGEND,
    )


FIGURES = {"compression": compression, "layers": layers, "toxicity": toxicity}
