"""The study of Lee et al. 2024: align a model by DPO, say why it works, and undo it.

An audit whose methods are the paper's (subtraction of three vectors, DPO), and what the paper does
after it: the trained model is laid beside its base, both are attacked, and each claim of the paper
is held against what was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console

from bezoar.runs import DPOStudyConfig, Progress
from bezoar.studies.audit import STAGES as AUDIT
from bezoar.studies.audit import UNFITTED, check_bench, check_config
from bezoar.studies.audit.asked import INPUT_STAGES
from bezoar.studies.audit.explore import explore_stage
from bezoar.studies.audit.locate import harvest_stage, locate_stage
from bezoar.studies.audit.masks import check_main
from bezoar.studies.audit.mitigate import mitigate_stage
from bezoar.studies.audit.work import brought_up, check_stage
from bezoar.studies.dpo.attack import attack_stage, check_attacks
from bezoar.studies.dpo.bench import DPOBench, trained_specs
from bezoar.studies.dpo.claims import claims_stage
from bezoar.studies.dpo.compare import compare_stage
from bezoar.studies.dpo.evaluate import evaluate_stage
from bezoar.studies.dpo.forecast import forecast_dpo
from bezoar.studies.summary import StudySummary, report_stage, summarise

STAGES: dict[str, Callable[[Any], None]] = {
    "explore": explore_stage,
    "harvest": harvest_stage,
    "locate": locate_stage,
    **{name: AUDIT[name] for name in INPUT_STAGES},
    "mitigate": mitigate_stage,
    "evaluate": evaluate_stage,
    "compare": compare_stage,
    "attack": attack_stage,
    "claims": claims_stage,
    "report": report_stage,
}
"""The stages in order."""

__all__ = ["STAGES", "DPOBench", "StudySummary", "check_study", "run_dpo"]


def check_study(config: DPOStudyConfig) -> None:
    """Refuse names that do not exist before any work, and before a run folder is made.

    Raises:
        ConfigError: as `bezoar.studies.audit.check_config`, if no method is dpo, or if an attack or
            an edit to attack is unknown.
    """
    check_config(config)
    trained_specs(config)
    check_attacks(config)


def _check_bench(bench: DPOBench, upto: str) -> None:
    """As of an audit, and the training that the study is about can be done."""
    check_bench(bench, upto)
    if upto not in UNFITTED:
        check_main(bench, bench.dpo_spec)


def run_dpo(
    config: DPOStudyConfig,
    upto: str = "report",
    *,
    progress: Progress | None = None,
    console: Console | None = None,
) -> StudySummary:
    """Run the study up to a stage; finished stages are not repeated.

    Args:
        config: what is asked; ``config.out`` is the run folder.
        upto: the last stage, one of `STAGES`.
        progress: where to show it.
        console: where to say what the job will take, before it begins.

    Returns:
        What was found so far.

    Raises:
        BezoarError: of the stage that could not be done; what came before it is kept.
    """
    check_stage(upto, STAGES, config)
    check_study(config)
    check = partial(_check_bench, upto=upto)
    with brought_up(
        DPOBench,
        config,
        STAGES,
        upto,
        check=check,
        progress=progress,
        console=console,
        forecast=forecast_dpo,
    ) as bench:
        return summarise(bench)
