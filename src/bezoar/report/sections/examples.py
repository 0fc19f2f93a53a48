"""7. Before and after: what the variants write after the same prompts."""

from __future__ import annotations

import re

from bezoar.evaluate import Continuation
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Example, Section, Text
from bezoar.report.figures.comparison import with_nulls
from bezoar.report.numbers import number

VARIANTS = 4


def examples(run: Artefacts) -> Section:
    """Continuations of the base, the chosen remedy and the next ones."""
    card = run.scorecard
    shown = card.continuations if card is not None else ()
    blocks: list[Block] = [Text("This run kept no continuations.", "muted")]
    if card is not None and shown:
        best = run.best()
        ranked = [method.label for method, _ in with_nulls(card)]
        labels = ["base", *([best.label] if best is not None else []), *ranked]
        labels = list(dict.fromkeys(labels))[:VARIANTS]
        blocks = [_example(continuation, labels) for continuation in shown]
    intro = (
        "Half of the prompts are those after which the unedited model is most toxic, half were "
        "drawn at random; none was picked by hand. The number is the report scorer's toxicity of "
        "that text. Profanity and slurs are masked."
    )
    return Section("examples", "Before and after", intro, tuple(blocks))


def _example(continuation: Continuation, labels: list[str]) -> Example:
    rows = tuple(
        (
            label,
            _one_line(continuation.by_method[label]) or "(nothing)",
            number(continuation.scores.get(label), digits=2),
        )
        for label in labels
        if label in continuation.by_method
    )
    return Example(_one_line(continuation.prompt), rows)


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ⏎ ", text.strip())
