"""The figures, each a pure function from the numbers to a plotly figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
from recipes.agreement import drawing as draw
from recipes.agreement.names import ATTRIBUTES, BIAS, CONTEXT, HEADINGS, JUDGES, TESTS
from recipes.agreement.sets import NEUTRAL

from bezoar.report import theme

Numbers = dict[str, Any]
GOAL = 0.9  # AUROC against Perspective ≥ 0.5 on RealToxicityPrompts' continuations
WIDTH = 760
_AUROCS = ("subgroup", "bpsn", "bnsp")


def perspective(found: Numbers) -> Any:
    """AUROC by the Perspective score from which a text counts as toxic."""
    traces, titles = [], []
    for panel, (name, part) in enumerate(found["perspective"].items()):
        for number, (scorer, own) in enumerate(part["scorers"].items()):
            x = [float(t) for t in own["auroc"]]
            traces += draw.band(x, list(own["auroc"].values()), scorer, number, panel)
        titles.append(f"{HEADINGS[name]}, n = {part['n']:,}")
    goal = {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": GOAL, "y1": GOAL}
    note = {"text": f"goal at 0.5: {GOAL:.2f}", "x": 0.02, "xref": "x domain", "xanchor": "left"}
    low = _floor(part["scorers"] for part in found["perspective"].values())
    return draw.two_panels(
        traces,
        titles,
        height=340,
        x="toxic from this Perspective score on",
        y="AUROC",
        xaxis={"range": [0.05, 0.95], "dtick": 0.2, "tick0": 0.1},
        yaxis={"range": [low, 1.005]},
        shapes=[goal | {"line": {"dash": "dot", "color": theme.GREY, "width": 1.5}}],
        notes=[note | {"y": GOAL, "yanchor": "bottom"}],
    )


def attributes(found: Numbers) -> Any:
    """AUROC of each attribute against the same attribute's judgement."""
    traces, titles = [], []
    for panel, (name, rows) in enumerate(found["attributes"].items()):
        traces += draw.dots([row["scorers"] for row in rows], _scorers(found), panel)
        titles.append(f"{HEADINGS[name]}: {JUDGES[name]}")
    low = min(
        own["low"]
        for rows in found["attributes"].values()
        for row in rows
        for own in row["scorers"].values()
    )
    return draw.two_panels(
        traces,
        titles,
        height=330,
        x="AUROC",
        xaxis={"range": [min(0.9, math.floor(low * 10) / 10) - 0.01, 1.01], "dtick": 0.1},
        yaxis=draw.row_axis([ATTRIBUTES[row["attribute"]] for row in found["attributes"]["rtp"]]),
        named_rows=True,
    )


def calibration(found: Numbers) -> Any:
    """Reliability: of texts scored about x, the share that is toxic."""
    traces, titles = [], []
    for panel, (name, part) in enumerate(found["calibration"].items()):
        traces.append(draw.line([0, 1], [0, 1], panel, "calibrated", theme.GREY, dash="dot"))
        for number, (scorer, own) in enumerate(part.items()):
            seen = [bin["positive"] for bin in own["bins"]]
            shares = [positive["value"] for positive in seen]
            look = draw.style(scorer, number, panel)
            trace = draw.line([bin["score"] for bin in own["bins"]], shares, panel)
            bars = draw.interval_bars(seen, look["marker"]["color"])
            traces.append(trace.update(error_y=bars, **look))
        titles.append(f"{HEADINGS[name]}: {JUDGES[name]}")
    square = {"range": [-0.03, 1.03], "dtick": 0.2}
    return draw.two_panels(
        traces,
        titles,
        height=400,
        x="mean score of the bin",
        y="share that is toxic",
        xaxis=square,
        yaxis=square,
    )


def density(found: Numbers) -> Any:
    """Where the scores of the first two scorers lie; colour is the logarithm of the texts."""
    traces, titles, lines = [], [], []
    shown = {name: found["agreement"][name][0] for name in ("rtp", "jigsaw")}
    for panel, (name, row) in enumerate(shown.items()):
        n = len(row["density"])
        centres = [(k + 0.5) / n for k in range(n)]
        z = [[math.log10(count) if count else None for count in line] for line in row["density"]]
        heat = go.Heatmap(x=centres, y=centres, z=z, coloraxis="coloraxis", hoverinfo="skip")
        traces.append(heat.update(xgap=0.5, ygap=0.5, **draw.axes_of(panel)))
        titles.append(f"{HEADINGS[name]}, n = {row['n']:,}")
    thresholds = {entry["name"]: entry["threshold"] for entry in found["scorers"]}
    a, b = shown["rtp"]["pair"]
    for panel in range(2):
        x, y = ("x", "y") if panel == 0 else ("x2", "y2")
        dashed = {"type": "line", "line": {"dash": "dot", "color": theme.GREY, "width": 1.5}}
        at_a = {"x0": thresholds[a], "x1": thresholds[a], "y0": 0, "y1": 1}
        at_b = {"y0": thresholds[b], "y1": thresholds[b], "x0": 0, "x1": 1}
        lines += [dashed | line | {"xref": x, "yref": y} for line in (at_a, at_b)]
    most = max(count for row in shown.values() for line in row["density"] for count in line)
    powers = list(range(math.ceil(math.log10(most)) + 1))
    bar = {"title": {"text": "texts", "side": "top", "font": {"size": 12}}, "tickvals": powers}
    bar["ticktext"] = [f"{10**p:,}" for p in powers]
    side = {"range": [0, 1], "dtick": 0.2, "showgrid": False}
    figure = draw.two_panels(
        traces, titles, height=390, x=f"score of {a}", y=f"score of {b}",
        xaxis=side, yaxis=side, shapes=lines,
    )  # fmt: skip
    return figure.update_layout(
        # From below one text, so that a cell of one is told from an empty one.
        coloraxis={"cmin": -0.6, "cmax": math.log10(most), "colorbar": bar | {"len": 0.9}},
        showlegend=False,
        margin=draw.MARGIN | {"t": 28},
    )


def neutral(found: Numbers) -> Any:
    """False alarms at the shipped thresholds, on what nobody called toxic."""
    context = found["context"]["rows"]
    rows = [row["scorers"] for row in found["neutral"]]
    rows += [
        {name: own["false_alarms"] for name, own in context[kind]["scorers"].items()}
        for kind in CONTEXT
    ]
    labels = [NEUTRAL[row["source"]] for row in found["neutral"]]
    labels += [f"CAT comments: {text}" for text in CONTEXT.values()]
    stated = {s["false_alarm_rate"] for s in found["scorers"] if s["false_alarm_rate"]}
    shapes = [
        {"type": "line", "x0": rate, "x1": rate, "yref": "paper", "y0": 0, "y1": 1}
        | {"line": {"dash": "dot", "color": theme.GREY, "width": 1.5}}
        for rate in sorted(stated)
    ]
    high = max(own["high"] for row in rows for own in row.values())
    return theme.figure(
        draw.dots(rows, _scorers(found), 0),
        height=120 + 34 * len(rows),
        xaxis={"title": {"text": "called toxic"}, "tickformat": ".0%", "rangemode": "tozero"}
        | {"range": [0, high * 1.05]},
        yaxis=draw.row_axis([theme.wrapped(text, 34) for text in labels]),
        shapes=shapes,
        margin=draw.MARGIN | {"t": 34},
        legend=draw.LEGEND,
    )


def identity(found: Numbers) -> Any:
    """Per identity term: false positive rate and the three AUROCs; most alarming on top."""
    terms = found["identity"]["terms"]
    order = sorted(terms, key=lambda t: -_mean(own["false_positives"] for own in terms[t].values()))
    traces, layout, notes = [], {}, []
    aurocs = [own[m] for row in terms.values() for own in row.values() for m in _AUROCS]
    low = math.floor(min(own["low"] for own in aurocs) * 10) / 10
    for panel, (metric, title) in enumerate(BIAS.items()):
        rows = [{name: own[metric] for name, own in terms[term].items()} for term in order]
        traces += draw.dots(rows, _scorers(found), panel, size=6)
        end = "" if panel == 0 else str(panel + 1)
        domain = [0.26 * panel, 0.26 * panel + 0.22]
        scale = {"range": [low - 0.02, 1.03], "nticks": 5}
        if metric == "false_positives":
            scale = {"range": [-0.02, 1.03], "tickformat": ".0%", "dtick": 0.5}
        layout[f"xaxis{end}"] = scale | {"domain": domain, "anchor": f"y{end}"}
        named = {"anchor": f"x{end}", "showgrid": True, "showticklabels": panel == 0}
        layout[f"yaxis{end}"] = draw.row_axis(order) | named
        notes.append(draw.heading(title, domain[0]))
    return theme.figure(
        traces,
        height=110 + 19 * len(order),
        annotations=notes,
        margin=draw.MARGIN,
        legend=draw.LEGEND,
        **layout,
    )


def hatecheck(found: Numbers) -> Any:
    """Share of each functionality's cases that is called rightly."""
    rows, labels = [], []
    for hateful, heading in (
        (True, "hateful: to be found"),
        (False, "not hateful: to be let alone"),
    ):
        tests = [row for row in found["hatecheck"] if row["hateful"] == hateful]
        tests.sort(key=lambda row: -_mean(row["scorers"].values()))
        rows += [{}, *(row["scorers"] for row in tests)]
        labels += [f"<b>{heading}</b>", *(f"{TESTS[t['test']]} ({t['n']})" for t in tests)]
    return theme.figure(
        draw.dots(rows, _scorers(found), 0, size=8),
        height=100 + 21 * len(rows),
        xaxis={"title": {"text": "called rightly"}, "tickformat": ".0%", "range": [-0.02, 1.02]},
        yaxis=draw.row_axis(labels) | {"showgrid": True},
        margin=draw.MARGIN | {"t": 34},
        legend=draw.LEGEND,
    )


FIGURES: dict[str, Callable[[Numbers], Any]] = {
    function.__name__: function
    for function in (perspective, attributes, calibration, density, neutral, identity, hatecheck)
}


def _scorers(found: Numbers) -> list[str]:
    return [entry["name"] for entry in found["scorers"]]


def _mean(intervals: Any) -> float:
    values = [own["value"] for own in intervals]
    return sum(values) / len(values)


def _floor(parts: Any) -> float:
    lows = [i["low"] for part in parts for own in part.values() for i in own["auroc"].values()]
    return math.floor(min(lows) * 20) / 20
