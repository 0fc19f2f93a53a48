"""Stage 6, evaluate: measure base, no-op, methods and nulls on texts that nothing was chosen by.

Files: ``measured/NAME.json`` (each variant, row by row, kept as soon as it is there),
``scorecard.json``, ``per_prompt.parquet``, ``per_text.json``, and with a base model ``base.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bezoar.compare import Comparison, PerPrompt, PerText, compare_measurements
from bezoar.edits import Edit, NoOp
from bezoar.evaluate import NULL_PARTS, Evaluator, Measured, Measurement, build_scorecard
from bezoar.evaluate.front import LIMIT
from bezoar.mitigate import FitInputs
from bezoar.models import LanguageModel
from bezoar.runs import kept, load_result, parse_budget, save_result, track
from bezoar.scoring import GROUPS, Task, load_tasks
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitted import FittedMethod
from bezoar.studies.audit.fitting import fit_inputs
from bezoar.studies.audit.mitigate import Fits, null_edits

TASK_ITEMS = 400


@dataclass(frozen=True, slots=True)
class Given:
    """An edit that is measured as it is: no budget chose its strength, and it has no nulls.

    Attributes:
        name: of its file.
        method, label: as in a `MethodRow`.
        edit: what is measured.
    """

    name: str
    method: str
    label: str
    edit: Edit


def evaluate_stage(
    bench: Bench, given: Callable[[], Sequence[Given]] = tuple, key: Sequence[object] = ()
) -> None:
    """Measure everything once, compare it prompt by prompt.

    Args:
        bench: the run at work.
        given: edits to measure beside the fitted ones; made only if there is something to do.
        key: what these depend on.
    """
    config = bench.config
    hashes = [bench.scorer_a.hash, bench.scorer_b.hash]
    tasks = tasks_of(bench)
    told: list[object] = [config.evaluate, config.model, config.seed, hashes]
    told += [[task.hash for task in tasks], *key]
    told += [] if bench.base is None else [bench.base.fingerprint]
    with bench.run.stage("evaluate", key=told, after=["explore", "mitigate"]) as stage:
        if stage.done:
            return
        fits = load_result(bench.run.folder("mitigate") / "methods.json", Fits)
        evaluator, folder = evaluator_of(bench, bench.lm, tasks), stage.folder / "measured"
        base = kept(folder / "base.json", Measurement, lambda: evaluator.measure(None, "base"))
        no_op = kept(folder / "no-op.json", Measurement, lambda: evaluator.measure(NoOp(), "no-op"))
        inputs = fit_inputs(bench)
        methods = [
            _measured(bench, evaluator, fitted, inputs, folder)
            for fitted in track(bench.progress, fits.methods, "Measuring methods", unit="methods")
        ]
        methods += [
            _as_given(evaluator, one, folder)
            for one in track(bench.progress, given(), "Measuring what is given", unit="edits")
        ]
        card = build_scorecard(
            base,
            no_op,
            methods,
            prompts=bench.prompts("report"),
            report_scorers=evaluator.scorers,
            selection_prompts=bench.prompts("select"),
            selection_scorer=bench.scorer_a,
            continuations=config.evaluate.continuations,
            resamples=config.evaluate.resamples,
            seed=config.seed,
            perplexity_limit=_front_limit(config.mitigate.budget),
        )
        save_result(stage.folder / "scorecard.json", card)
        rows = {"base": base, "no-op": no_op}
        for m in methods:  # named as `Scorecard.variants` does
            rows[m.label if m.method in rows else m.method] = m.measurement
        values = {name: measurement.per_prompt for name, measurement in rows.items()}
        PerPrompt(bench.prompts("report"), values).save(stage.folder / "per_prompt.parquet")
        by_text = PerText.of(rows, bench.neutral("report").hash, tasks)
        save_result(stage.folder / "per_text.json", by_text)
        if bench.base is not None:
            compared = _against_base(bench, bench.base, base, folder / "base-model.json")
            save_result(stage.folder / "base.json", compared)


def evaluator_of(bench: Bench, lm: LanguageModel, tasks: list[Task]) -> Evaluator:
    """What reports: scorer B first, on the report prompts and the report half of neutral text."""
    config = bench.config.evaluate
    return Evaluator(
        lm,
        bench.prompts("report", lm),
        bench.protocol,
        [bench.scorer_b, bench.scorer_a],
        bench.neutral("report"),
        kl_texts=config.kl_texts,
        groups=GROUPS,
        tasks=tasks,
        prompts_name=bench.prompts_name,
    )


def _front_limit(budget: str) -> float:
    """Twice what perplexity may rise by: methods spend the budget, on another text than this."""
    asked = parse_budget(budget)
    return 2 * asked.limit if asked.measure == "ppl" and asked.relative else LIMIT


def tasks_of(bench: Bench) -> list[Task]:
    """The capability tasks that were asked for."""
    specs = bench.config.evaluate.capability
    return load_tasks(specs, data_root=bench.data_root, limit=TASK_ITEMS, seed=bench.config.seed)


def _measured(
    bench: Bench, evaluator: Evaluator, fitted: FittedMethod, inputs: FitInputs, folder: Path
) -> Measured:
    edit = bench.edit(fitted.name)
    own = kept(
        folder / f"{fitted.name}.json",
        Measurement,
        lambda: evaluator.measure(edit, fitted.label),
    )
    nulls: dict[str, tuple[Measurement, ...]] = {}
    costs: dict[str, float] = {}
    for null in fitted.nulls:
        name = f"{fitted.name}.{null.kind}.{null.equal}"
        drawn = null_edits(bench, fitted, null, inputs)
        if not drawn:
            continue
        if null.share is not None:
            costs[null.label] = null.share
        nulls[null.label] = tuple(
            kept(
                folder / "nulls" / f"{name}.{i}.json",
                Measurement,
                partial(evaluator.measure, e, parts=NULL_PARTS, keep_texts=False),
            )
            for i, e in enumerate(track(bench.progress, drawn, f"Nulls of {fitted.label}"))
        )
    return Measured(
        method=fitted.spec,
        label=fitted.label,
        measurement=own,
        nulls=nulls,
        strength=fitted.strength,
        foldable=fitted.foldable,
        fold_reason=fitted.fold_reason,
        null_costs=costs,
    )


def _as_given(evaluator: Evaluator, one: Given, folder: Path) -> Measured:
    measure = partial(evaluator.measure, one.edit, one.label)
    measured = kept(folder / f"{one.name}.json", Measurement, measure)
    return Measured(one.method, one.label, measured, foldable=one.edit.foldable)


def _against_base(bench: Bench, model: LanguageModel, tuned: Measurement, file: Path) -> Comparison:
    """Did the fine-tune raise toxicity? The same prompts and random streams, paired.

    In a chat each model reads them in its own template, or plain without one: the texts differ
    then, the prompts do not.
    """
    evaluator = evaluator_of(bench, model, tasks_of(bench))
    base = kept(file, Measurement, lambda: evaluator.measure(None, "base model"))
    return compare_measurements(
        replace(base, prompts_key=tuned.prompts_key),
        tuned,
        names=(model.name, bench.lm.name),
        scorers=evaluator.scorers,
        resamples=bench.config.evaluate.resamples,
        seed=bench.config.seed,
    )
