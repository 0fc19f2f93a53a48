"""The audit: texts → activations → findings → edits → scorecard → report, stage after stage.

Each stage reads the files of the stages before it and writes its own, so that a run can be stopped
and taken up anywhere, and each can be run alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bezoar.errors import ConfigError
from bezoar.evaluate import Scorecard, get_protocol
from bezoar.locate import LensResult, ProbeSweep
from bezoar.locate.vocabulary import needs_unembedding
from bezoar.pairs import PairsReport
from bezoar.runs import AuditConfig, Progress, load_result
from bezoar.scoring import find_tasks
from bezoar.studies.audit.asked import learns_from_pairs, needs
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.evaluate import evaluate_stage
from bezoar.studies.audit.experts import experts_stage
from bezoar.studies.audit.explore import explore_stage
from bezoar.studies.audit.finish import AuditSummary, check_gate, report_stage, summarise
from bezoar.studies.audit.forecast import AuditForecast, forecast_audit
from bezoar.studies.audit.locate import harvest_stage, lens_stage, locate_stage, sites_of
from bezoar.studies.audit.masks import check_masks
from bezoar.studies.audit.mitigate import Fits, check_layers, check_methods, mitigate_stage
from bezoar.studies.audit.moments import moments_stage
from bezoar.studies.audit.pairs import check_pairs, pairs_stage
from bezoar.studies.audit.prompts import FEWEST, explored
from bezoar.studies.audit.room import check_room
from bezoar.studies.audit.sae import check_sae, sae_stage
from bezoar.studies.audit.states import states_stage
from bezoar.studies.audit.work import brought_up, check_stage

STAGES: dict[str, Callable[[Bench], None]] = {
    "explore": explore_stage,
    "harvest": harvest_stage,
    "locate": locate_stage,
    "lens": lens_stage,
    "pairs": pairs_stage,
    "states": states_stage,
    "experts": experts_stage,
    "moments": moments_stage,
    "sae": sae_stage,
    "mitigate": mitigate_stage,
    "evaluate": evaluate_stage,
    "report": report_stage,
}
"""The stages in order."""

UNFITTED = ("explore", "harvest", "locate", "lens")
"""Those that need neither scorers nor methods, of an audit and of what is built on it."""

_RESULTS: dict[str, tuple[str, type[Any]]] = {
    "locate": ("locate/sweep.json", ProbeSweep),
    "lens": ("lens/lens.json", LensResult),
    "pairs": ("pairs/report.json", PairsReport),
    "mitigate": ("mitigate/methods.json", Fits),
    "evaluate": ("evaluate/scorecard.json", Scorecard),
}

__all__ = [
    "STAGES",
    "AuditForecast",
    "AuditSummary",
    "Bench",
    "check_bench",
    "check_config",
    "check_stage",
    "forecast_audit",
    "run_audit",
    "run_stages",
]


def check_config(config: AuditConfig) -> None:
    """Refuse names that do not exist before any work, and before a run folder is made.

    Raises:
        ConfigError: for an unknown method, protocol, task or gate, the nearest names are given; or
            if both scorers are one.
        DataError: for a task whose file is not there.
    """
    check_methods(config.mitigate.methods)
    check_gate(config.fail_if)
    protocol = get_protocol(config.evaluate.protocol)
    if protocol.prompts_n < FEWEST:
        raise ConfigError(
            f"{protocol.id} reports on fewer than {FEWEST} prompts, which gives no interval.",
            hint=f"Write {replace(protocol, prompts_n=200).id} for two hundred.",
        )
    if config.evaluate.scorer_a == config.evaluate.scorer_b:
        raise _one_scorer(config)
    root = config.data.root
    find_tasks(config.evaluate.capability, None if root is None else Path(root))


def check_bench(bench: Bench, upto: str) -> None:
    """Refuse what the model, and the texts once they are read, turn out not to allow.

    Args:
        bench: the run at work.
        upto: the last stage that is asked for.

    Raises:
        ConfigError: if both scorers are one, or a training is of more than there is.
        DataError: if a half of the neutral text is too little for an interval, or a file has too
            few pairs.
        ModelError: for an encoder that shall write, or a chat template that is not there.
        RunError: if the disk has no room for what is to be trained.
        SiteError: for a site or a layer that is not there.
        SAEError: for an autoencoder that is not of this model.
    """
    fitted = upto not in UNFITTED
    protocol = get_protocol(bench.config.evaluate.protocol)
    if fitted:
        if bench.scorer_a.hash == bench.scorer_b.hash:
            raise _one_scorer(bench.config)
        if "evaluate" not in bench.run.finished():
            bench.lm.require_generation()
            if "explore" in bench.run.finished():
                for half in ("select", "report"):
                    protocol.windows(bench.lm, bench.neutral(half).texts)
    if bench.config.model.chat:
        bench.lm.chat(("",))
    if upto != "explore":
        sites_of(bench)
    if fitted:
        check_layers(bench)
        check_masks(bench)
        check_pairs(bench)
        check_room(bench)
        if "sae" in needs(bench.config) and "sae" not in bench.run.finished():
            check_sae(bench)


def _one_scorer(config: AuditConfig) -> ConfigError:
    a, b = config.evaluate.scorer_a, config.evaluate.scorer_b
    return ConfigError(
        f"Scorers A and B are the same, {' and '.join(dict.fromkeys((repr(a), repr(b))))}: what is "
        "chosen by a scorer cannot be reported by it.",
        hint="Give another --scorer-a or --scorer-b; 'bezoar list scorers' names them.",
    )


def run_stages(
    config: AuditConfig,
    upto: str,
    *,
    progress: Progress | None = None,
    console: Console | None = None,
) -> Any:
    """Bring a run up to a stage; finished stages are not repeated.

    Args:
        config: what is asked; ``config.out`` is the run folder.
        upto: the last stage, one of `STAGES`.
        progress: where to show it.
        console: where to say what the job will take, before it begins.

    Returns:
        The result of that stage.

    Raises:
        ConfigError: if there is no such stage, or a method that does not exist is asked for.
        ModelError: if prompts shall stand in a chat template, and the model has none; or if text
            is to be generated with an encoder.
        SiteError: if a site or layer that is asked for is not in the model.
        RunError: see `bezoar.runs.Run.open`.
    """
    check_stage(upto, STAGES, config)
    check_config(config)
    check = partial(check_bench, upto=upto)
    with brought_up(
        Bench, config, STAGES, upto, check=check, progress=progress, console=console
    ) as bench:
        if upto == "report":
            return summarise(bench)
        if upto == "harvest":
            from bezoar.studies.audit.locate import store

            return store(bench, "train").manifest
        if upto == "lens":
            needs_unembedding(bench.lm)
        if upto == "explore":
            return explored(bench)
        if upto == "pairs" and not learns_from_pairs(config):
            raise ConfigError(
                "No method of this audit learns from pairs.", hint="Add dpo to --methods."
            )
        path, kind = _RESULTS[upto]
        return load_result(bench.run.path / path, kind)


def run_audit(
    config: AuditConfig, *, progress: Progress | None = None, console: Console | None = None
) -> AuditSummary:
    """Run every stage; returns what was found in a few numbers.

    Raises:
        BezoarError: of the stage that could not be done; what came before it is kept.
    """
    summary: AuditSummary = run_stages(config, "report", progress=progress, console=console)
    return summary
