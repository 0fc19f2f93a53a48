"""A small hand-made run, with the shapes and the sizes of a real one. Numbers are invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bezoar.attack import AttackCurve, AttackPoint, Robustness
from bezoar.compare import Comparison, Difference
from bezoar.corpus.clean import CleaningReport
from bezoar.corpus.explore import (
    Example,
    Exploration,
    GroupCount,
    Lengths,
    NearRepeats,
    Vocabulary,
    WordOdds,
)
from bezoar.corpus.shortcuts import Shortcut
from bezoar.evaluate import Continuation, MethodRow, Metric, Scorecard
from bezoar.locate.vocabulary import LexiconShare
from bezoar.mitigate import BudgetPoint, BudgetTrace
from bezoar.mitigate.preference import Step, TrainingLog, Validation
from bezoar.runs.results import save_json, save_result
from bezoar.stats.intervals import Interval
from tests.report.findings import (
    components,
    frozen_lens,
    lens,
    ranking,
    sweep,
    token_lists,
    writers,
)

PROTOCOL = "LEE@200"
REPORTER = "demo-b#9f2c51d0"


def training() -> TrainingLog:
    """Four validations of a training that learns, then forgets."""
    losses = (0.6931, 0.52, 0.48, 0.51)
    points = tuple(
        Validation(25 * i, loss, 0.5 + 0.1 * i, 0.4 * i, 0.1 * i, -0.3 * i, 0.01 * i)
        for i, loss in enumerate(losses)
    )
    steps = tuple(Step(i, 0.69 - 0.002 * i, 0.6, 0.1, 3.0) for i in range(1, 76))
    counts = {"pairs": 300, "validation_pairs": 64, "equal": 2, "cut_prompts": 1, "cut_answers": 0}
    return TrainingLog(
        "dpo", "Recipe()", "all", steps, points, 50, "end of the pairs", **counts,
        trained=4_000_000, norm=0.7, relative=0.004,
    )  # fmt: skip


def robustness() -> Robustness:
    """Two attacks: one with a null and a broken model, one tried at a single budget."""

    def point(budget: int, g: float, ppl: float = 20.0, *, valid: bool = True) -> AttackPoint:
        share = Interval(g, g - 0.05, g + 0.04)
        toxicity = 0.4 - 0.2 * g
        return AttackPoint(float(budget), f"×{budget:g}", toxicity, ppl, share, valid, "seed 1")

    keys = (point(1, 0.9), point(10, 0.3), point(10, 0.6), point(320, 0.1, 99.0, valid=False))
    nulls = (point(10, 0.9), point(320, 0.8))
    failed = AttackPoint(2.0, "1 text", None, None, None, False, failed=3, tried=3, reason="NaN")
    area = Interval(0.45, 0.4, 0.5)
    curves = (
        AttackCurve("key <scaling>", "factor × keys", keys, nulls, area, Interval(0.85, 0.8, 0.9)),
        AttackCurve("training", "texts", (failed, point(4, 0.6)), (), Interval(0.6, 0.5, 0.7)),
        AttackCurve("interpolation", "share", (), skipped="it is a hook"),
    )
    score, cut = Interval(0.525, 0.5, 0.6), Interval(0.2, 0.1, 0.3)
    return Robustness(
        "subtract", curves, score, area, "key <scaling>", "", 0.4, 0.2, cut, 20.0, 21.0, 1.2, 100,
        PROTOCOL,
    )  # fmt: skip


def metric(
    name: str,
    value: float,
    half: float,
    protocol: str = PROTOCOL,
    *,
    n: int = 200,
    better: bool = False,
) -> Metric:
    scorer = REPORTER if name.startswith("toxicity") else None
    return Metric(name, value, value - half, value + half, protocol, scorer, n, False, better)


def method_row(
    label: str,
    kind: str,
    toxicity: float,
    perplexity: float,
    *,
    foldable: bool | None = None,
    p: float | None = None,
    reason: str = "",
) -> MethodRow:
    ppl = "ppl-windows-1024"
    metrics = {
        "toxicity": metric("toxicity", toxicity, 0.031),
        "perplexity": metric("perplexity", perplexity, 1.4, ppl, n=20_000),
        "distinct_2": metric("distinct_2", 0.91, 0.01, better=True),
        "repetition_4": metric("repetition_4", 0.021, 0.006),
    }
    if kind != "null":
        metrics |= {
            "toxicity:words": metric("toxicity:words", 0.7 * toxicity, 0.03),
            "kl": metric("kl", 0.0 if kind != "method" else 0.043, 0.004, "kl-32", n=1024),
            "f1": metric("f1", 0.171, 0.008, "f1-32-20", better=True),
            "task:last word": metric("task:last word", 0.31, 0.04, "last-word", better=True),
            "task:minimal pairs": metric(
                "task:minimal pairs", 0.68, 0.05, "minimal-pairs", better=True
            ),
            "excess:identity": metric("excess:identity", 1.03, 0.02, "ppl-ratio", n=96),
            "excess:dialect": metric("excess:dialect", 1.01, 0.04, "ppl-ratio", n=16),
        }
    fall = toxicity - 0.342
    change = {
        "toxicity": metric("toxicity", fall, 0.024 if fall else 0.0),
        "toxicity_reduction": metric("toxicity_reduction", -fall / 0.342, 0.07),
        "perplexity": metric("perplexity", perplexity - 41.2, 0.5, ppl),
        "perplexity_change": metric("perplexity_change", perplexity / 41.2 - 1, 0.008, ppl),
        "task:last word": metric("task:last word", -0.01, 0.02, "last-word", better=True),
        "task:minimal pairs": metric(
            "task:minimal pairs", -0.06, 0.02, "minimal-pairs", better=True
        ),
    }
    return MethodRow(
        method=label.split(" ")[0],
        label=label,
        kind=kind,  # type: ignore[arg-type]
        null_of=label.split(" ")[0] if kind == "null" else None,
        strength=12.5 if kind in ("method", "null") else None,
        foldable=foldable,
        fold_reason=reason,
        metrics=metrics,
        change=change,
        null_p=p,
        holm_p=min(1.0, 5 * p) if kind == "method" and p is not None else None,
        n_draws=10 if p is not None else 0,
        rank_p=None if p is None else 1 / 11,
    )


METHODS = (
    ("subtract probe", 0.139, 43.1, True, 0.0004),
    ("subtract value", 0.251, 42.9, True, 0.004),
    ("subtract svd", 0.183, 43.2, True, 0.0008),
    ("subtract mean difference", 0.165, 43.0, True, 0.0008),
    ("project out probe", 0.297, 42.4, False, 0.21),
    ("word ban", 0.226, 41.3, False, 0.0002),
)
NULLS = ("shuffled labels, equal cost", "random, equal strength")


def scorecard(**texts: str) -> Scorecard:
    rows = [method_row("base", "base", 0.342, 41.2), method_row("no-op", "no-op", 0.342, 41.2)]
    for i, (label, toxicity, perplexity, foldable, p) in enumerate(METHODS):
        reason = "" if foldable else "It acts on logits, and no weights of this model express that."
        rows.append(
            method_row(label, "method", toxicity, perplexity, foldable=foldable, p=p, reason=reason)
        )
        for j, null in enumerate(NULLS):
            name = f"{label}: 10 nulls, {null}"
            toxicity = 0.338 - 0.006 * (i - j)
            rows.append(method_row(name, "null", toxicity, 43.0 - j, p=p / (1 + 20 * j)))
    labels = ["base", *(method[0] for method in METHODS)]
    told = [
        Continuation(
            prompt=texts.get("prompt", "The neighbours knocked on the door again, and I said"),
            by_method={
                label: texts.get("text", f" that {label} would answer it, as everybody had asked.")
                for label in labels
            },
            scores={label: 0.8 / (1 + i) for i, label in enumerate(labels)},
        )
        for _ in range(3)
    ]
    return Scorecard(PROTOCOL, tuple(rows), 200, "demo-a#17be04aa", REPORTER, tuple(told))


def exploration(**texts: str) -> Exploration:
    words = [texts.get("token", "moss"), "damp", "wet", "rain", "fog"]
    marks = tuple(WordOdds(word, 9.0 - i, (2, 40)) for i, word in enumerate(words))
    source = texts.get("source", "templates")
    bins = np.arange(12)
    counts = tuple(tuple(int(x) for x in 90 * np.exp(-((bins - c) ** 2) / 8)) for c in (5, 7))
    edges = tuple(np.expm1(np.linspace(1.0, 5.0, 13)).tolist())
    return Exploration(
        name="demo",
        n=1940,
        positive_share=0.497,
        cleaning=CleaningReport(2000, 1940, {"empty": (1, 2), "repeated": tuple(range(58))}),
        counts=tuple(
            GroupCount(name, "", label, n, 84.0)
            for name, sizes in ((source, (400, 350)), ("samples", (575, 615)))
            for label, n in enumerate(sizes)
        ),
        lengths=tuple(
            Lengths(
                unit, edges, counts, (30.1, 41.2), (9.0, 12.0), (3, 4), (28.0, 39.0), (140, 145)
            )
            for unit in ("characters", "words", "tokens")
        ),
        vocabulary=Vocabulary((3100, 2900), 2100, 0.538, (marks[::-1], marks)),
        shortcuts=(
            Shortcut("length", Interval(0.54, 0.51, 0.57), ""),
            Shortcut(
                "source", Interval(0.66, 0.63, 0.69), "The source alone tells the classes apart."
            ),
            Shortcut("words", Interval(0.91, 0.89, 0.93), ""),
        ),
        near_repeats=NearRepeats(12, 4, ()),
        examples=(Example(source, 1, texts.get("text", "a text")),),
        warnings=("The source alone tells the classes apart with AUROC 0.660 [0.630, 0.690].",),
    )


def traces() -> tuple[BudgetTrace, ...]:
    out = []
    for i, (label, *_) in enumerate(METHODS):
        tried = np.array([1.0, 8.0, 14.0, 11.0]) * (i + 1)
        points = [
            BudgetPoint(float(s), float((s / (12.0 * (i + 1))) ** (1.2 + 0.3 * i) * 0.05))
            for s in tried
        ]
        points.append(BudgetPoint(100.0 * (i + 1), None))
        chosen = points[3]
        out.append(
            BudgetTrace(
                label, 0.05, tuple(points), chosen.strength, chosen.cost, i != 4, "within tolerance"
            )
        )
    dear = tuple(BudgetPoint(2.0**-i, 0.4 - 0.02 * i) for i in range(4))
    return (*out, BudgetTrace("scale", 0.05, dear, None, None, True, "evaluations spent"))


def base_test(**texts: str) -> Comparison:
    rows = (
        Difference(
            "no-op", "toxicity", PROTOCOL, 0.29, 0.342, 0.052, 0.02, 0.084, True, 200, False
        ),
        Difference(
            "no-op", "perplexity", "ppl-windows-1024", 39.0, 41.2, 2.2, 1.1, 3.3, False, 90, False
        ),
    )
    name = texts.get("model", "demo")
    return Comparison(f"{name}-base", name, PROTOCOL, rows, (), (), ())


def write_run(folder: Path, **texts: str) -> Path:
    """A whole run folder. ``token``, ``text``, ``prompt``, ``model`` replace what a model wrote."""
    save_json(
        folder / "audit.json",
        {
            "model": texts.get("model", "demo"),
            "fingerprint": "5f0d9ab2c1e84b77a3c2",
            "parameters": 3_214_080,
            "layers": 6,
            "created": "2026-11-21 04:12 UTC",
            "seed": 0,
            "command": "bezoar audit demo --out runs/demo",
            "best": "subtract probe",
            "edit of the best": "mitigate/edits/subtract",
            "budget": "ppl<=5%",
            "labelled texts": texts.get("source", "demo"),
            "methods that missed the budget": {"scale": "No strength costs so little."},
            "prompts that are cut": [f"3 of 200 prompts are too long: {texts.get('source', 'x')}."],
            "texts": {
                "train": 1164,
                "select": 388,
                "report": 388,
                "prompts_report": 200,
                "dropped": {"empty": 2, "repeats a prompt": 0},
                "hashes": {"train": "81c3aa02", "report": "0c55", "prompts-report": "77aa"},
            },
        },
    )
    (folder / "config.yaml").write_text("model:\n  name: demo\nmitigate:\n  budget: ppl<=5%\n")
    environment = {
        "python": "3.11.9",
        "cpus": 2,
        "packages": {"torch": "2.13.0", "bezoar": "0.1.0"},
    }
    save_json(folder / "environment.json", [environment])
    save_result(folder / "locate" / "sweep.json", sweep(**texts))
    save_result(folder / "locate" / "values.json", ranking())
    save_json(folder / "locate" / "tokens.json", {"lists": _plain(token_lists(**texts))})
    save_result(folder / "locate" / "share.json", LexiconShare(0.41, 0.03, 0.06, 0.001, 16, 10))
    save_result(folder / "lens" / "lens.json", lens(**texts))
    save_result(folder / "lens" / "frozen.json", frozen_lens(**texts))
    save_result(folder / "lens" / "components.json", components(**texts))
    save_result(folder / "lens" / "writers.json", writers(**texts))
    save_result(folder / "explore" / "exploration.json", exploration(**texts))
    save_json(folder / "mitigate" / "fitted.json", _plain(traces()))
    save_result(folder / "evaluate" / "scorecard.json", scorecard(**texts))
    save_result(folder / "evaluate" / "base.json", base_test(**texts))
    return folder


def _plain(results: tuple[object, ...]) -> list[object]:
    from bezoar.runs.results import to_plain

    return [to_plain(result) for result in results]
