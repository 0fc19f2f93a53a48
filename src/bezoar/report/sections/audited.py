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
    "edit of the best",
    "environment",
    "texts",
    "chat example",
    "methods that missed the budget",
    "prompts that are cut",
)
_PARTS = {
    "train": "labelled, to fit on",
    "report": "labelled, to report on",
    "prompts-select": "prompts, to choose by",
    "prompts-report": "prompts, to report on",
    "neutral-select": "neutral, to choose by",
    "neutral-report": "neutral, to report on",
}
_HELD_OUT = "only texts held out from the demo assets"
# What the facts are called, in the order in which a reader asks for them.
_NAMES = {
    "model": "model",
    "created": "begun (UTC)",
    "labelled texts": "labelled texts",
    "prompts": "prompts",
    "neutral text": "neutral text",
    _HELD_OUT: _HELD_OUT,
    "held out means": "held out means",
    "budget": "budget of every method",
    "protocol": "protocol",
    "scorer a": "scorer A, which labels and selects",
    "scorer b": "scorer B, which reports",
    "seed": "seed",
    "chat template": "prompts in the model's chat template",
    "base's prompts": "prompts of the base",
    "parameters": "parameters",
    "layers": "layers",
    "d_model": "width of the residual stream",
    "d_mlp": "MLP neurons in a layer",
    "vocabulary": "tokens in the vocabulary",
    "fingerprint": "hash of weights and tokenizer",
    "licences.model": "licence of the model",
    "licences.base": "licence of the base",
    "licences.labelled texts": "licence of the labelled texts",
    "licences.prompts": "licence of the prompts",
    "licences.neutral text": "licence of the neutral text",
}


def audited(run: Artefacts) -> Section:
    """The facts that identify the run, and the texts it set aside."""
    facts = flatten({k: v for k, v in run.audit.items() if k not in _ELSEWHERE})
    if run.scorecard is not None:
        facts |= {
            "protocol": run.scorecard.measured,
            "scorer a": run.scorecard.selection_scorer,
            "scorer b": run.scorecard.report_scorer,
        }
    if not facts.get(_HELD_OUT):
        facts.pop("held out means", None)  # it explains a yes
    order = [*(key for key in _NAMES if key in facts), *(key for key in facts if key not in _NAMES)]
    items = [
        (_NAMES.get(key, key.replace("_", " ").replace(".", ": ")), _shown(facts[key]))
        for key in order
        if facts[key] not in (None, "")
    ]
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
