"""Stage 5, mitigate: fit every method to the budget, prove that its edit acts, and choose one.

Files: ``methods.json`` (what was fitted, with its nulls' strengths), ``fitted.json`` (how each
strength was found, or sought in vain), ``edits/NAME/``, ``attempts/``: each search, written as
soon as it ends, so that an interrupted stage loses one, and ``training/NAME/``: what was trained,
as trained. Everything here sees only the training texts, the preference pairs, the selection
prompts, the selection half of the neutral text, and scorer A.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bezoar.edits import Edit, NoOp
from bezoar.errors import ConfigError, UnsupportedAnatomy
from bezoar.evaluate import get_protocol
from bezoar.masking import mask
from bezoar.mitigate import BudgetTrace, FitInputs, null_inputs, parse_method, parse_searched
from bezoar.mitigate.subtract import sites_of
from bezoar.runs import Result, parse_budget, save_result, track
from bezoar.runs.progress import SILENT
from bezoar.studies.audit.asked import made_for, specs_of
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitted import FittedMethod, NullFit
from bezoar.studies.audit.fitting import Fitting, inputs_for, slug

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Fits(Result):
    """All methods that were tried.

    Attributes:
        methods: those that met the budget.
        failed: spec of each other one, and why.
        best: name of the one that lowers toxicity most on the selection prompts and folds; never a
            control.
        select_toxicity: of the unedited model.
    """

    methods: tuple[FittedMethod, ...]
    failed: dict[str, str]
    best: str | None
    select_toxicity: float

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(
            title=f"Fitted to the budget; toxicity {self.select_toxicity:.3f} without an edit",
            caption="On the selection half. * is exported.",
            box=None,
            padding=(0, 2, 0, 0),
            pad_edge=False,
        )
        table.add_column("method")
        for name in ("strength", "cost", "toxicity", "folds"):
            table.add_column(name, justify="right", no_wrap=True)
        for m in self.methods:
            folds = "yes" if m.foldable else "no"
            cells = (f"{m.strength:.3g}", f"{m.cost:.3g}", f"{m.select_toxicity:.3f}", folds)
            table.add_row(m.label + (" *" if m.name == self.best else ""), *cells)
        for spec, why in self.failed.items():
            table.add_row(f"{spec}: {why}", style="dim")
        return table


def mitigate_stage(bench: Bench) -> None:
    """Fit, prove and choose."""
    config = bench.config
    key = [config.model, config.mitigate, config.locate.site, config.seed, *chosen_by(bench)]
    after = ["explore", "harvest", "locate", *made_for(config)]
    with bench.run.stage("mitigate", key=key, after=after) as stage:
        if stage.done:
            return
        fitting = Fitting(bench, stage.folder)
        fitted: list[FittedMethod] = []
        traces: list[BudgetTrace] = []
        failed: dict[str, str] = {}
        specs = specs_of(config.mitigate.methods)
        for spec in track(bench.progress, specs, "Fitting methods", unit="methods"):
            attempt = fitting(spec)
            if attempt.trace is not None:
                traces.append(attempt.trace)
            if attempt.fitted is None:
                failed[spec] = attempt.failed
                (bench.progress or SILENT).note(mask(f"{spec} is left out: {attempt.failed}"))
            else:
                fitted.append(attempt.fitted)
        selector = fitting.selector
        base = selector.measure(NoOp(), parts=("toxicity",), keep_texts=False)
        toxicity = float(np.mean(base.per_prompt["toxicity"]))
        save_result(stage.folder / "fitted.json", tuple(traces))
        save_result(
            stage.folder / "methods.json",
            Fits(tuple(fitted), failed, _best(fitted, toxicity), toxicity),
        )


def check_layers(bench: Bench) -> None:
    """Refuse layers of methods that the model does not have, before any work.

    Raises:
        SiteError: naming the site, and those there are.
    """
    for method in map(parse_method, specs_of(bench.config.mitigate.methods)):
        layers = getattr(method, "layers", ())
        with suppress(UnsupportedAnatomy):  # this method alone will not be had
            sites_of(bench.lm, layers, getattr(method, "point", "resid_post"))


def chosen_by(bench: Bench) -> list[object]:
    """What of the evaluation's options decides a fit: how the selection prompts are continued and
    scored, and what an edit costs. How many prompts are reported on, and by whom, does not."""
    asked = bench.config.evaluate
    protocol = get_protocol(asked.protocol)
    chosen = [bench.scorer_a.hash, protocol.statistic, protocol.decoding, protocol.prompt_tokens]
    chosen += [protocol.compat, protocol.perplexity]
    if parse_budget(bench.config.mitigate.budget).measure == "kl":
        chosen.append(asked.kl_tokens)
    return chosen


def null_edits(bench: Bench, fitted: FittedMethod, null: NullFit, inputs: FitInputs) -> list[Edit]:
    """The null edits again: inputs drawn from the run's seed, strengths as recorded."""
    method = parse_method(fitted.spec)
    seed = bench.run.seed("nulls")
    inputs = inputs_for(bench, inputs, fitted.name)
    drawn = null_inputs(null.kind, bench.lm, inputs, len(null.strengths), seed)
    return [
        method.with_strength(strength).fit(bench.lm, each)
        for strength, each in zip(null.strengths, drawn, strict=True)
        if strength is not None
    ]


def _best(fitted: list[FittedMethod], base: float) -> str | None:
    """Lowest selection toxicity among those that fold, if any is below the unedited model's."""
    remedies = [m for m in fitted if not parse_method(m.spec).control]
    folding = [m for m in remedies if m.foldable and m.select_toxicity < base]
    return min(folding, key=lambda m: m.select_toxicity).name if folding else None


def check_methods(names: tuple[str, ...]) -> None:
    """Refuse unknown methods before any work, and such as could only do nothing.

    Raises:
        ConfigError: with the nearest names; for a strength, which the budget sets.
    """
    slugs = [slug(parse_searched(spec).spec) for spec in specs_of(names)]
    twice = sorted({name for name in slugs if slugs.count(name) > 1})
    if twice:
        raise ConfigError(f"The method {twice[0]!r} is named twice.", hint="Leave one out.")
