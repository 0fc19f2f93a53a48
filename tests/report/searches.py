"""A small hand-made search, with the shapes of a real one. Numbers are invented."""

from __future__ import annotations

from bezoar.search import Finalist, Finals, Flattery, Found, Part, Trial
from bezoar.stats import Interval

BASE = (0.4, 0.3, 0.2, 0.1)


def _trial(number: int, cost: float | None, left: float, n: int, *specs: str) -> Trial:
    parts = tuple(Part(spec, 1.5) for spec in specs)
    toxicity = tuple(left * value for value in BASE[:n])
    return Trial(number, specs, specs, parts, 0.9, cost, toxicity)


def found() -> Found:
    value, ban = "subtract:direction=value", "word-ban"
    failed = Trial(4, ("dpo",), ("dpo",), (), 0.9, None, (), "dpo needs 'pairs'")
    return Found(
        budget="ppl<=3%",
        limit=0.03,
        rungs=(2, 4),
        base=BASE,
        trials=(
            _trial(0, 0.028, 0.6, 4, value),
            _trial(1, 0.011, 0.8, 4, ban),
            _trial(2, 0.05, 1.0, 0, value, ban),
            _trial(3, 0.02, 0.9, 2, ban),
            failed,
        ),
        front=(1, 0),
        finalists=(0, 1),
        flattery=Flattery(0.04, 0.7, 2),
        failed={"dpo": "dpo needs 'pairs'"},
    )


def finals() -> Finals:
    def one(number: int, cost: float, less: float, *, survives: Interval | None) -> Finalist:
        trial = found().trials[number]
        return Finalist(
            number=number,
            name=f"trial-{number}",
            label=trial.short,
            parts=trial.parts,
            foldable=number == 0,
            fold_reason="" if number == 0 else "A ban acts on the logits.",
            cost=trial.cost or 0.0,
            cost_again=cost,
            selection=Interval(1 - trial.left(BASE), 0.1, 0.6),
            same_scorer=Interval(0.3, 0.05, 0.5),
            report=Interval(less, less - 0.1, less + 0.1),
            survives=survives,
            attack="keys ×10, 7 keys" if survives else "not asked for",
        )

    return Finals(
        budget="ppl<=3%",
        limit=0.03,
        finalists=(
            one(0, 0.034, 0.25, survives=Interval(0.4, 0.2, 0.6)),
            one(1, 0.01, 0.1, survives=None),
        ),
        flattery=found().flattery,
        scorer_a="demo-a",
        scorer_b="demo-b",
        selection_prompts=4,
        report_prompts=200,
    )
