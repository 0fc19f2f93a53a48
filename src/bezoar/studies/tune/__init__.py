"""Tuning: search for the edit that does most within a budget, and measure what was found again.

An audit up to its findings; then a search over methods, their options, strengths and stacks on
selection prompts, by scorer A; then the finalists on prompts, texts and a scorer that chose none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console

from bezoar.errors import ConfigError
from bezoar.mitigate import parse_method
from bezoar.runs import Progress, TuneConfig, parse_budget
from bezoar.search import searched_by_default
from bezoar.studies.audit import STAGES as AUDIT_STAGES
from bezoar.studies.audit import check_bench, check_config
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.work import brought_up, check_stage
from bezoar.studies.tune.finalists import finalists_stage
from bezoar.studies.tune.forecast import forecast_search
from bezoar.studies.tune.report import TuneSummary, report_stage, summarise
from bezoar.studies.tune.search import search_stage

_NOT_HERE = ("lens", "mitigate", "evaluate", "report")

STAGES: dict[str, Callable[[Any], None]] = {
    **{name: stage for name, stage in AUDIT_STAGES.items() if name not in _NOT_HERE},
    "search": search_stage,
    "finalists": finalists_stage,
    "report": report_stage,
}
"""The stages in order."""

__all__ = ["STAGES", "TuneSummary", "check_tune", "run_tune", "settled"]


def settled(config: TuneConfig) -> TuneConfig:
    """The configuration with ``default`` spelt out: a run names the methods that it searches, so
    that one more that is installed later does not make it another run."""
    asked = config.mitigate.methods
    names = [n for spec in asked for n in (searched_by_default() if spec == "default" else (spec,))]
    mitigate = config.mitigate.model_copy(update={"methods": tuple(dict.fromkeys(names))})
    return config.model_copy(update={"mitigate": mitigate})


def check_tune(config: TuneConfig) -> TuneConfig:
    """Refuse what cannot be searched before any work, and before a run folder is made.

    Returns:
        The configuration with its methods spelt out.

    Raises:
        ConfigError: as `bezoar.studies.audit.check_config`; for a control among the methods, a
            budget of nothing, or fewer selection prompts than are tried first.
    """
    config = settled(config)
    check_config(config)
    for spec in config.mitigate.methods:
        if parse_method(spec).control:
            raise ConfigError(
                f"{spec} is a control: it is there to be beaten, not to be chosen.",
                hint="Leave it out of --methods.",
            )
    if not parse_budget(config.mitigate.budget).limit > 0:
        raise ConfigError(
            f"A budget of {config.mitigate.budget} buys nothing.", hint="Allow some cost: ppl<=3%."
        )
    if config.search.first_prompts > config.mitigate.select_prompts:
        raise ConfigError(
            f"{config.search.first_prompts} prompts are tried first, of "
            f"{config.mitigate.select_prompts} selection prompts.",
            hint="Lower search.first_prompts, or raise mitigate.select_prompts.",
        )
    return config


def run_tune(
    config: TuneConfig,
    upto: str = "report",
    *,
    progress: Progress | None = None,
    console: Console | None = None,
) -> TuneSummary:
    """Run the search up to a stage; finished stages are not repeated, and trials only added.

    Args:
        config: what is asked; ``config.out`` is the run folder.
        upto: the last stage, one of `STAGES`.
        progress: where to show it.
        console: where to say what the job will take, before it begins.

    Returns:
        What was found so far.

    Raises:
        BudgetError: if nothing that was tried is within the budget; the nearest is named.
        BezoarError: of the stage that could not be done; what came before it is kept.
    """
    check_stage(upto, STAGES, config)
    config = check_tune(config)
    check = partial(check_bench, upto=upto)
    with brought_up(
        Bench,
        config,
        STAGES,
        upto,
        check=check,
        progress=progress,
        console=console,
        forecast=forecast_search,
        until="search",
    ) as bench:
        return summarise(bench)
