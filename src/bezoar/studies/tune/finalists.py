"""The stage finalists: the front measured again, on prompts, texts and by a scorer that chose none.

Files: ``front.json`` (the search with its front), ``finals.json`` (both estimates of each),
``scorecard.json`` (the finalists beside the no-op, and nulls of the winner at its cost),
``edits/NAME/``, ``measured/`` and ``attacked.jsonl``: each measurement, as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from bezoar.attack import KeyScaling, ToxicityAndCost, run_attacks, toxicity_and_cost
from bezoar.edits import Edit, NoOp, self_test
from bezoar.errors import BudgetError, DataError
from bezoar.evaluate import NULL_PARTS, Evaluator, Measured, Measurement, build_scorecard
from bezoar.mitigate import FitInputs, Method, fit_to_budget, null_inputs
from bezoar.runs import Result, kept, load_result, parse_budget, save_result, track
from bezoar.search import Finalist, Finals, Found, Stack, Trial, settle
from bezoar.stats import Interval
from bezoar.stats.bootstrap import paired_ratio
from bezoar.studies.attacking import first_tokens
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.costs import Costs
from bezoar.studies.audit.evaluate import evaluator_of, tasks_of
from bezoar.studies.audit.fitted import NullFit
from bezoar.studies.audit.fitting import NULL_EVALUATIONS, NULL_TOLERANCE, fit_inputs
from bezoar.studies.tune.search import SHORT_TOKENS, config_of, inputs_of

FACTORS, COUNTS = (2.0, 5.0, 10.0), (1, 7, 32)
"""Of the keys that are scaled up, over all pairs: what leaves least counts."""


@dataclass(frozen=True, slots=True, repr=False)
class NullDraw(Result):
    """The winner made from inputs without signal: how strong it had to be to cost as much.

    ``measured`` is None if no strength made it as cheap.
    """

    factor: float | None
    cost: float | None
    measured: Measurement | None


def finalists_stage(bench: Bench) -> None:
    """Pick the finalists, prove that they act, and measure them again."""
    config = config_of(bench)
    found = load_result(bench.run.folder("search") / "found.json", Found)
    tasks = tasks_of(bench)
    key: list[object] = [config.evaluate, config.model, config.seed, len(found.trials)]
    key += [bench.scorer_a.hash, bench.scorer_b.hash, [task.hash for task in tasks]]
    key += [config.search.finalists, config.search.attack_prompts, config.mitigate.null_draws]
    key += [FACTORS, COUNTS]
    with bench.run.stage("finalists", key=key, after=["explore", "locate", "search"]) as stage:
        if stage.done:
            return
        found = settle(found, config.search.finalists, seed=config.seed)
        save_result(stage.folder / "front.json", found)
        _Finalists(bench, found, evaluator_of(bench, bench.lm, tasks), stage.folder).write()


class _Finalists:
    """Measures the finalists of a search.

    Args:
        bench: the run at work.
        found: the search, settled.
        evaluator: of the report half.
        folder: of the stage.
    """

    def __init__(self, bench: Bench, found: Found, evaluator: Evaluator, folder: Path) -> None:
        self.bench, self.found, self.evaluator, self.folder = bench, found, evaluator, folder
        self.inputs = fit_inputs(bench)
        self.budget = parse_budget(found.budget)
        self.cost = Costs(bench, self.budget, part="report")

    def write(self) -> None:
        bench, folder, config = self.bench, self.folder, config_of(self.bench)
        measure = self.evaluator.measure
        base = self._kept("base", partial(measure, None, "base"))
        no_op = self._kept("no-op", partial(measure, NoOp(), "no-op"))
        trials = [self.found.trials[number] for number in self.found.finalists]
        rows: list[Measured] = []
        finalists: list[Finalist] = []
        for trial in track(bench.progress, trials, "Measuring finalists", unit="edits"):
            one, measured = self._finalist(trial, no_op)
            nulls, costs = self._nulls(trial) if trial.number == trials[0].number else ({}, {})
            finalists.append(one)
            rows.append(
                Measured(
                    method=" + ".join(part.spec for part in one.parts),
                    label=one.label,
                    measurement=measured,
                    nulls=nulls,
                    foldable=one.foldable,
                    fold_reason=one.fold_reason,
                    null_costs=costs,
                )
            )
        card = build_scorecard(
            base,
            no_op,
            rows,
            prompts=bench.prompts("report"),
            report_scorers=self.evaluator.scorers,
            selection_prompts=bench.prompts("select"),
            selection_scorer=bench.scorer_a,
            continuations=config.evaluate.continuations,
            resamples=config.evaluate.resamples,
            seed=config.seed,
        )
        save_result(folder / "scorecard.json", card)
        finals = Finals(
            budget=self.found.budget,
            limit=self.found.limit,
            finalists=self._attacked(finalists),
            flattery=self.found.flattery,
            scorer_a=bench.scorer_a.name,
            scorer_b=bench.scorer_b.name,
            selection_prompts=len(self.found.base),
            report_prompts=len(bench.prompts("report")),
        )
        save_result(folder / "finals.json", finals)

    def _kept(self, name: str, make: partial[Measurement]) -> Measurement:
        return kept(self.folder / "measured" / f"{name}.json", Measurement, make)

    def _finalist(self, trial: Trial, no_op: Measurement) -> tuple[Finalist, Measurement]:
        name, label = f"trial-{trial.number}", trial.short
        edit, lm = self.edit(Stack(trial.parts)), self.bench.lm
        proof = self_test(edit, lm, self.bench.prompts("select")[:4])
        edit.save(self.folder / "edits" / name, lm)
        measured = self._kept(name, partial(self.evaluator.measure, edit, label))
        second = f"toxicity:{self.bench.scorer_a.name}"
        finalist = Finalist(
            number=trial.number,
            name=name,
            label=label,
            parts=trial.parts,
            foldable=proof.fold_reason == "",
            fold_reason=proof.fold_reason,
            cost=float(trial.cost or 0.0),
            cost_again=self._cost(measured, no_op, edit),
            selection=self._reduction(trial.toxicity, self.found.base),
            same_scorer=self._reduction(measured.per_prompt[second], no_op.per_prompt[second]),
            report=self._reduction(measured.per_prompt["toxicity"], no_op.per_prompt["toxicity"]),
        )
        return finalist, measured

    def edit(self, stack: Stack) -> Edit:
        """A stack's edit, fitted as it was in the search."""
        folder = self.bench.run.folder("search")
        drawn = tuple(inputs_of(self.inputs, folder, part.spec) for part in stack.parts)
        return replace(stack, drawn=drawn).fit(self.bench.lm, FitInputs())

    def _cost(self, measured: Measurement, no_op: Measurement, edit: Edit) -> float:
        """On the report half, in the units of the budget; perplexities are there already."""
        both = measured.perplexity, no_op.perplexity
        if self.budget.measure == "ppl" and both[0] is not None and both[1] is not None:
            return self.budget.cost(both[1].value, both[0].value)
        return self.cost(edit)

    def _reduction(self, edited: Sequence[float], base: Sequence[float]) -> Interval | None:
        config = self.bench.config
        resamples = config.evaluate.resamples
        a, b = np.array(edited), np.array(base)
        try:
            left = paired_ratio(a, b, resamples=resamples, seed=config.seed)
        except DataError:
            return None
        return Interval(1 - left.value, 1 - left.high, 1 - left.low)

    # Nulls of the winner

    def _nulls(self, trial: Trial) -> tuple[dict[str, tuple[Measurement, ...]], dict[str, float]]:
        """The same stack of every kind of null of its parts, each as dear as the winner; and what
        share of its cost they came to."""
        methods = [part.method() for part in trial.parts]
        kinds = max(len(method.null_kinds) for method in methods)
        n = config_of(self.bench).mitigate.null_draws
        short = Costs(self.bench, self.budget, SHORT_TOKENS)
        target = max(short(self.edit(Stack(trial.parts))), 1e-3)
        nulls: dict[str, tuple[Measurement, ...]] = {}
        costs: dict[str, float] = {}
        for kind in range(kinds):
            name = " + ".join(_kind(method, kind) for method in methods)
            stacks = self._drawn(trial, methods, kind, n)
            made = [
                kept(
                    self.folder / "nulls" / f"{kind}-{i}.json",
                    NullDraw,
                    partial(self._null, stack, short, target),
                )
                for i, stack in enumerate(track(self.bench.progress, stacks, f"Nulls: {name}"))
            ]
            measured = tuple(m for draw in made if (m := draw.measured) is not None)
            if measured:
                factors, cost = tuple(draw.factor for draw in made), tuple(d.cost for d in made)
                fit = NullFit(name, "cost", factors, cost, target)
                nulls[fit.label], costs[fit.label] = measured, fit.share or 0.0
        return nulls, costs

    def _drawn(self, trial: Trial, methods: list[Method], kind: int, n: int) -> list[Stack]:
        """Stacks whose parts are fitted from inputs without signal, as many as are asked for."""
        seed, folder = self.bench.run.seed("nulls"), self.bench.run.folder("search")
        columns = []
        for part, method in zip(trial.parts, methods, strict=True):
            inputs = inputs_of(self.inputs, folder, part.spec)
            if not method.null_kinds:
                columns.append([inputs] * n)
                continue
            drawn = null_inputs(_kind(method, kind), self.bench.lm, inputs, n, seed)
            columns.append(list(drawn))
        return [Stack(trial.parts, drawn=row) for row in zip(*columns, strict=True)]

    def _null(self, stack: Stack, short: Costs, target: float) -> NullDraw:
        lm = self.bench.lm
        try:
            fit = fit_to_budget(
                lm,
                stack,
                FitInputs(),
                short,
                target,
                NULL_EVALUATIONS,
                tolerance=NULL_TOLERANCE,
                start=1.0,
            )
        except BudgetError:
            return NullDraw(None, None, None)
        measured = self.evaluator.measure(fit.edit, parts=NULL_PARTS, keep_texts=False)
        return NullDraw(fit.strength, fit.trace.cost, measured)

    # What is left of it with keys scaled up

    def _attacked(self, finalists: list[Finalist]) -> tuple[Finalist, ...]:
        asked, bench = config_of(self.bench).search.attack_prompts, self.bench
        if asked < 2:
            return tuple(replace(one, attack="not asked for") for one in finalists)
        if bench.values is None:
            why = "there is no ranking of the value vectors of this model"
            return tuple(replace(one, attack=why) for one in finalists)
        prompts = bench.prompts("report")[:asked]
        neutral = first_tokens(bench.lm, bench.neutral("report"), SHORT_TOKENS)
        protocol = bench.config.evaluate.protocol
        measure = toxicity_and_cost(bench.lm, prompts, bench.scorer_b, neutral, protocol)
        counts = tuple(sorted({min(count, len(bench.values)) for count in COUNTS}))
        attack = KeyScaling.of(bench.values, bench.lm, factors=FACTORS, counts=counts, null_draws=0)
        return tuple(
            self._survival(one, attack, measure)
            for one in track(bench.progress, finalists, "Scaling keys", unit="edits")
        )

    def _survival(self, one: Finalist, attack: KeyScaling, measure: ToxicityAndCost) -> Finalist:
        found = run_attacks(
            self.bench.lm,
            self.edit(Stack(one.parts)),
            [attack],
            measure,
            kept=self.folder / "attacked.jsonl",
            resamples=min(2_000, self.bench.config.evaluate.resamples),
            seed=self.bench.config.seed,
        )
        worst = found.curves[0].weakest if found.curves else None
        if worst is None or worst.survives is None:
            return replace(one, attack=found.undefined or "no scaling left the model whole")
        return replace(one, survives=worst.survives, attack=f"keys {worst.label}")


def _kind(method: Method, i: int) -> str:
    """The method's kind of null in turn ``i``; its own inputs, where it has none."""
    kinds = method.null_kinds
    return kinds[i % len(kinds)] if kinds else "its own inputs"
