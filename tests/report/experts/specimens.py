"""A small hand-made study of experts, with the shapes of a real one. Numbers are invented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bezoar.evaluate import Continuation, Front, FrontPoint, Scorecard
from bezoar.locate.layer_results import LayersReport
from bezoar.runs.results import save_json, save_result
from bezoar.stats import Interval
from tests.report import specimens
from tests.report.experts import findings
from tests.report.experts.findings import about

ROWS = (
    ("eigenshift", "eigenshift", 0.30, 43.1, 0.01),
    ("aura", "aura", 0.25, 43.0, 0.001),
    ("det-0", "det-0", 0.33, 43.2, 0.4),
    ("transport", "transport", 0.22, 43.1, 0.001),
    ("eigenshift", "eigenshift as published", 0.24, 55.0, None),
    ("aura", "aura as published", 0.26, 44.0, None),
    ("det-0", "det-0 as published", 0.01, 4100.0, None),
)


def scorecard(**texts: str) -> Scorecard:
    """The no-op, methods at the budget with a null each, and methods as published."""
    rows = [
        specimens.method_row("base", "base", 0.342, 41.2),
        specimens.method_row("no-op", "no-op", 0.342, 41.2),
    ]
    for spec, label, toxicity, perplexity, p in ROWS:
        row = specimens.method_row(label, "method", toxicity, perplexity, foldable=True, p=p)
        change = row.change | {"tph": specimens.metric("tph", 0.4, 0.05)}
        change["changed:last word"] = specimens.metric("changed:last word", 7.0, 2.0, "last-word")
        strength = None if p is None else row.strength
        rows.append(replace(row, method=spec, change=change, strength=strength))
        if p is not None:
            null = f"{label}: 10 nulls, random choices, equal cost"
            made = specimens.method_row(null, "null", 0.335, 43.0, p=p)
            rows.append(replace(made, method=spec, null_of=spec))
    points = tuple(
        FrontPoint(spec, label, toxicity / 0.342, ppl / 41.2 - 1, about(0.2), about(0.01), 0.4)
        for spec, label, toxicity, ppl, _ in ROWS
    )
    labels = ["base", *(label for _, label, *_ in ROWS)]
    text = texts.get("text", " that nobody would answer it, as everybody had asked.")
    told = Continuation(
        texts.get("prompt", "The neighbours knocked again, and I said"),
        dict.fromkeys(labels, text),
        dict.fromkeys(labels, 0.4),
    )
    front = Front(0.1, specimens.PROTOCOL, about(0.5), points)
    card = specimens.scorecard()
    return replace(card, rows=tuple(rows), continuations=(told,), front=front)


def claims(**texts: str) -> dict[str, Any]:
    """As the study saves them; this room reads no class of the study's."""
    rows = [
        ("lowers", "EigenShift as published lowers toxicity.", "holds", (-0.1, -0.12, -0.08)),
        ("choice-code", "The program's choice matters.", "undecided", (0.0, -0.02, 0.02)),
        ("capability", "It costs no facts.", "fails", (-0.06, -0.08, -0.04)),
        ("depth-encoder", "In an encoder the best lie late.", "not measured", None),
    ]
    made = [
        {
            "key": key,
            "statement": statement,
            "source": "main table",
            "verdict": verdict,
            "value": value and dict(zip(("value", "low", "high"), value, strict=True)),
            "measure": "change of toxicity, paired by prompt",
            "null_p": None,
            "why": texts.get("text", "Toxicity 0.342 → 0.240."),
            "rule": "Holds if the interval lies below zero.",
        }
        for key, statement, verdict, value in rows
    ]  # fmt: skip
    return {"claims": made, "model": "demo", "protocol": specimens.PROTOCOL}


def write_audit(folder: Path, **texts: str) -> Path:
    """An audit's folder that is marked as this study, without a stage of its own."""
    specimens.write_run(folder, **texts)
    (folder / "config.yaml").write_text("study: experts\nmodel:\n  name: demo\n")
    (folder / "evaluate" / "scorecard.json").unlink()
    return folder


def write_study(folder: Path, **texts: str) -> Path:
    """A whole run folder; ``texts`` as in `bezoar`'s other specimens."""
    write_audit(folder, **texts)
    save_result(folder / "evaluate" / "scorecard.json", scorecard(**texts))
    save_json(folder / "claims" / "claims.json", claims(**texts))
    report = findings.experts(findings.spread(0.2), findings.spread(0.5), findings.agreement(0.7))
    save_result(folder / "experts" / "report.json", report)
    name = texts.get("model", "demo")
    both = (
        findings.layers(0.1, model=name, corpus="jigsaw"),
        findings.layers(-0.1, model="minilm", corpus="jigsaw", kind="encoder"),
    )
    save_result(folder / "layers" / "layers.json", LayersReport(both))
    save_result(folder / "states" / "report.json", findings.states(about(0.8), **texts))
    save_result(folder / "grid" / "grid.json", findings.grid(about(-0.1)))
    beyond = {"correct": (about(-0.1), 0.025)}
    save_result(folder / "grid" / "choices.json", findings.choices(beyond))
    dear = replace(findings.choices(beyond), alpha=None, cost=0.05)
    save_result(folder / "grid" / "choices_at_cost.json", dear)
    save_result(folder / "grid" / "spectrum.json", findings.spectrum())
    save_result(folder / "detect" / "detect.json", detection())
    return folder


def detection() -> Any:
    fixed = "what it reads does not change"
    none = Interval(0.0, 0.0, 0.0)
    ours = {"probe": fixed, "unembed_in": fixed, "logits": about(-0.01)}
    theirs = {"probe": about(-0.1), "unembed_in": about(-0.05), "logits": about(-0.04)}
    return findings.detection(
        findings.reader("eigenshift as published", about(-0.1), ours),
        findings.reader("aura as published", about(-0.08), theirs),
        findings.reader("no toxicity measured", None, {"probe": none}),
    )
