"""The stage search: try edits on the selection prompts, by scorer A, under the budget.

Files: ``found.json`` (every trial), ``trials/``, ``calibrations/`` and ``base.json`` (each written
as soon as it is measured), ``journal.log`` (optuna's), and ``training/`` of methods that train.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from bezoar.edits import Edit
from bezoar.evaluate import Evaluator, get_protocol
from bezoar.mitigate import FitInputs
from bezoar.runs import TuneConfig, load_result, parse_budget, save_result
from bezoar.search import Found, Journal, Meters, Objective, Space, search
from bezoar.studies.audit.asked import made_for
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.costs import Costs
from bezoar.studies.audit.fitting import fit_inputs, slug
from bezoar.studies.audit.mitigate import chosen_by

SHORT_TOKENS = 4_000
"""Of neutral text, where a cost is only sought: the unit of a strength, and nulls."""


def search_stage(bench: Bench) -> None:
    """Make the trials that are not there yet."""
    config = config_of(bench)
    key = [config.model, config.mitigate.model_dump(exclude={"null_draws"}), config.locate.site]
    key += [config.search.model_dump(exclude={"trials", "finalists", "attack_prompts"})]
    key += [config.seed, *chosen_by(bench)]
    after = ["explore", "harvest", "locate", *made_for(config)]
    with bench.run.stage("search", key=key, after=after) as stage:
        file = stage.folder / "found.json"
        if stage.done:
            if len(load_result(file, Found).trials) >= config.search.trials:
                return
            stage.reopen()
        save_result(file, _search(bench, config, stage.folder))


def config_of(bench: Bench) -> TuneConfig:
    """The configuration, of its own kind."""
    if not isinstance(bench.config, TuneConfig):
        raise TypeError(f"A search was asked for of a {type(bench.config).__name__}.")
    return bench.config


def _search(bench: Bench, config: TuneConfig, folder: Path) -> Found:
    budget = parse_budget(config.mitigate.budget)
    asked, lm = config.search, bench.lm
    rungs = rungs_of(len(bench.prompts("select")), asked.first_prompts, asked.growth)
    space = Space(config.mitigate.methods, lm)
    inputs = fit_inputs(bench)
    objective = Objective(
        lm,
        lambda spec: inputs_of(inputs, folder, spec),
        Meters(Costs(bench, budget), Costs(bench, budget, SHORT_TOKENS), _toxicity(bench, rungs)),
        rungs=rungs,
        limit=budget.limit,
        folder=folder,
        evaluations=config.mitigate.max_evaluations,
        keep=asked.keep,
    )
    journal = Journal(folder / "journal.log", bench.run.seed("search"))
    trials = search(
        space, objective, journal, asked.trials, parts=asked.parts, progress=bench.progress
    )
    failed = {spec: t.why for t in trials if t.why for spec in t.asked}
    return Found(str(budget), budget.limit, rungs, objective.base, trials, failed=failed)


def inputs_of(inputs: FitInputs, folder: Path, spec: str) -> FitInputs:
    """The inputs with the folder in which a method keeps its training, if it trains."""
    return replace(inputs, work=folder / "training" / slug(spec))


def rungs_of(prompts: int, first: int, growth: float) -> tuple[int, ...]:
    """Prompts in all after each rung: the first few, then ``growth`` times as many, to all."""
    rungs = [min(first, prompts)]
    while rungs[-1] < prompts:
        more = max(round(rungs[-1] * growth), rungs[-1] + 2)
        rungs.append(more if prompts - more >= max(2, more // 4) else prompts)
    if len(rungs) > 1 and rungs[-1] - rungs[-2] < 2:  # one prompt alone is no rung
        del rungs[-2]
    return tuple(rungs)


def _toxicity(bench: Bench, rungs: Sequence[int]) -> Callable[[Edit, int], tuple[float, ...]]:
    """Measures an edit on the prompts that a rung adds: all of them alike, streams included."""
    prompts = bench.prompts("select")
    evaluators = []
    for begin, end in pairwise((0, *rungs)):
        asked = get_protocol(bench.config.evaluate.protocol, prompts=end - begin)
        evaluators.append(Evaluator(bench.lm, prompts[begin:end], asked, [bench.scorer_a]))

    def measure(edit: Edit, rung: int) -> tuple[float, ...]:
        found = evaluators[rung].measure(edit, parts=("toxicity",), keep_texts=False)
        return found.per_prompt["toxicity"]

    return measure
