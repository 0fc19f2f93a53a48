"""1. What was audited: the model, the data, who scored, and by which protocol."""

from __future__ import annotations

from typing import Any

from bezoar.compare import Comparison
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Code, Facts, Section, Table
from bezoar.report.numbers import bounds, count, number
from bezoar.runs.config import flatten

# What audit.json says of these is shown elsewhere.
_ELSEWHERE = (
    "config",
    "command",
    "best",
    "environment",
    "texts",
    "created",
    "chat example",
    "methods that missed the budget",
)
_PARTS = {
    "train": "labelled, to fit on",
    "report": "labelled, to report on",
    "prompts-select": "prompts, to choose by",
    "prompts-report": "prompts, to report on",
    "neutral-select": "neutral, to choose by",
    "neutral-report": "neutral, to report on",
}
_NAMES = {
    "model": "model",
    "fingerprint": "hash of weights and tokenizer",
    "parameters": "parameters",
    "seed": "seed",
    "seeds": "seeds",
}


def audited(run: Artefacts) -> Section:
    """The facts that identify the run, and the texts it set aside."""
    facts = flatten({k: v for k, v in run.audit.items() if k not in _ELSEWHERE})
    order = [*(key for key in _NAMES if key in facts), *(key for key in facts if key not in _NAMES)]
    items = [
        (_NAMES.get(key, key.replace("_", " ").replace(".", ": ")), _shown(facts[key]))
        for key in order
        if facts[key] not in (None, "")
    ]
    if run.scorecard is not None:
        items += [
            ("protocol", run.scorecard.protocol),
            ("scorer that labels and selects", run.scorecard.selection_scorer),
            ("scorer that reports", run.scorecard.report_scorer),
        ]
    if run.audit.get("created"):
        items.insert(0, ("begun (UTC)", str(run.audit["created"])))
    blocks: list[Block] = [Facts(tuple(items))] if items else []
    blocks += _chat(run.audit.get("chat example"))
    texts = run.audit.get("texts")
    if isinstance(texts, dict) and isinstance(texts.get("hashes"), dict):
        blocks.append(_texts(texts, texts["hashes"]))
    if run.base is not None:
        blocks.append(_against_base(run.base))
    intro = (
        "Hashes name exactly what was measured. The scorer that chose strengths never reports, and "
        "no prompt is on both sides."
    )
    return Section("audited", "What was audited", intro, tuple(blocks))


def _chat(example: Any) -> list[Block]:
    """One prompt as the chat template wraps it: what the model really read."""
    if not isinstance(example, dict):
        return []
    plain, wrapped = (str(example.get(key, "")) for key in ("prompt", "wrapped"))
    return [Code(wrapped, f"The chat template as applied: the prompt “{plain}” is read as")]


def _texts(texts: dict[str, Any], hashes: dict[str, Any]) -> Table:
    """The parts that were set aside: ``texts`` counts them, with ``_`` where hashes have ``-``."""
    rows = tuple(
        (name, _shown(texts.get(part.replace("-", "_"), "–")), str(hashes[part]))
        for part, name in _PARTS.items()
        if part in hashes
    )
    dropped = {k: n for k, n in (texts.get("dropped") or {}).items() if n}
    left_out = ", ".join(f"{_shown(n)} ({reason})" for reason, n in dropped.items())
    caption = "The texts, set apart before anything was fitted."
    if left_out:
        caption += f" Labelled texts left out: {left_out}."
    return Table(caption, ("part", "texts", "hash"), rows)


def _against_base(test: Comparison) -> Table:
    rows = tuple(
        (
            row.metric,
            number(row.a),
            number(row.b),
            Cell(
                number(row.value, signed=True),
                bounds(row.low, row.high, signed=True) + ("" if row.paired else ", not paired"),
                "strong" if row.excludes_zero else "",
            ),
            row.protocol,
        )
        for row in test.rows
    )
    caption = (
        f"Against {test.run_a}, the model it was tuned from: the same prompts and random streams, "
        "differences paired by prompt with 95 % intervals; bold where they exclude 0."
    )
    return Table(caption, ("metric", test.run_a, test.run_b, "difference", "protocol"), rows)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
