"""The study of EigenShift: neurons against layers, and damping the unembedding's directions.

An audit whose methods are those of the paper and its rivals, and what the paper does beside it: the
grid of strengths, the choices that the method is held against, layers as experts, and whether what
lowers toxicity also blinds the model to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console

from bezoar.runs import ExpertsStudyConfig, Progress
from bezoar.studies.audit import STAGES as AUDIT
from bezoar.studies.audit import Bench, check_bench, check_config
from bezoar.studies.audit.asked import INPUT_STAGES
from bezoar.studies.audit.work import brought_up, check_stage
from bezoar.studies.experts.claims import claims_stage
from bezoar.studies.experts.detect import detect_stage
from bezoar.studies.experts.evaluate import evaluate_stage
from bezoar.studies.experts.forecast import forecast_experts
from bezoar.studies.experts.grid import grid_stage
from bezoar.studies.experts.layers import check_layers, layers_stage
from bezoar.studies.summary import StudySummary, report_stage, summarise

STAGES: dict[str, Callable[[Any], None]] = {
    **{name: AUDIT[name] for name in ("explore", "harvest", "locate", *INPUT_STAGES)},
    "mitigate": AUDIT["mitigate"],
    "evaluate": evaluate_stage,
    "grid": grid_stage,
    "layers": layers_stage,
    "detect": detect_stage,
    "claims": claims_stage,
    "report": report_stage,
}
"""The stages in order."""

__all__ = ["STAGES", "check_study", "run_experts"]


def check_study(config: ExpertsStudyConfig) -> None:
    """Refuse names that do not exist before any work, and before a run folder is made.

    Raises:
        BezoarError: as `bezoar.studies.audit.check_config`, or if a further model or set of texts
            is not there.
    """
    check_config(config)
    check_layers(config)


def run_experts(
    config: ExpertsStudyConfig,
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
    check = partial(check_bench, upto=upto)
    with brought_up(
        Bench,
        config,
        STAGES,
        upto,
        check=check,
        progress=progress,
        console=console,
        forecast=forecast_experts,
        until="detect",
    ) as bench:
        return summarise(bench)
