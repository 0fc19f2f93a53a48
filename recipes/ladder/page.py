"""The page, made from the numbers and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from recipes.ladder.figures import TEXTS, TOXIC, title

Numbers = dict[str, Any]


def page(found: Numbers) -> str:
    """The whole page."""
    template = jinja2.Template(
        Path(__file__).with_name("page.md.j2").read_text("utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    rungs = found["rungs"]
    return template.render(
        rungs=sizes(rungs),
        compression=compression(found),
        hidden=hidden(rungs),
        layers=layers(rungs),
        toxicity=toxicity(rungs),
        probes=rungs[0]["probes"],
        tokens=f"{rungs[0]['tokens']:,}",
    )


def sizes(rungs: Sequence[Numbers]) -> str:
    rows = [
        [
            title(rung),
            "decoder (GPT-2)" if rung["decoder"] else "masked twin (BERT)",
            f"{rung['parameters']:,}",
            str(rung["width"]),
            f"{rung['cpu_seconds']:,}",
        ]
        for rung in rungs
    ]
    return table(["rung", "objective", "parameters", "width", "CPU seconds"], rows)


def compression(found: Numbers) -> str:
    rows = [
        [title(rung), *(f"{rung['reserve'][-1]['bits'][name]:.3f}" for name in TEXTS)]
        for rung in found["rungs"]
        if rung["decoder"]
    ]
    rows.append(["5-gram (Kneser-Ney)", *(f"{found['ngram'][name]:.3f}" for name in TEXTS)])
    return table(["bits per byte", *TEXTS.values()], rows)


def hidden(rungs: Sequence[Numbers]) -> str:
    rows = [
        [title(rung), *(f"{rung['reserve'][-1]['bits'][name]:.3f}" for name in TEXTS)]
        for rung in rungs
        if not rung["decoder"]
    ]
    return table(["bits per hidden token", *TEXTS.values()], rows)


def layers(rungs: Sequence[Numbers]) -> str:
    rows = []
    for rung in rungs:
        probes = rung["probes"]
        by_site = {row["site"]: row["auroc"] for row in probes["sites"]}
        rows.append(
            [
                title(rung),
                estimate(by_site["embed"]),
                f"{estimate(by_site[probes['best']])} ({probes['best']})",
                estimate(probes["rivals"]["untrained twin"]),
                estimate(probes["rivals"]["bag of words"]),
                estimate(probes["over_words"]),
            ]
        )
    head = ["rung", "embedding", "best layer", "untrained", "bag of words", "best less words"]
    return table(head, rows)


def toxicity(rungs: Sequence[Numbers]) -> str:
    rows = [
        [title(rung), *(estimate(rung["toxic"][key], 100, 1, " %") for key in TOXIC)]
        for rung in rungs
        if rung["decoder"]
    ]
    return table(["rung", *TOXIC.values()], rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def estimate(own: Numbers, scale: int = 1, digits: int = 3, unit: str = "") -> str:
    """``0.868 [0.859, 0.876]``"""
    value, low, high = (f"{scale * own[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value}{unit} [{low}, {high}]"
