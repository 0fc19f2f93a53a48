"""Studies: the whole job, from texts to report. Orchestration only; the rooms do the work."""

from __future__ import annotations

from typing import Any

from bezoar.runs import AuditConfig, DPOStudyConfig, Progress
from bezoar.studies.audit import STAGES, AuditSummary, check_config, run_audit, run_stages
from bezoar.studies.dpo import DPOSummary, check_study, run_dpo

__all__ = ["STAGES", "AuditSummary", "DPOSummary", "run_audit", "run_dpo", "run_stages"]


def check(config: AuditConfig) -> None:
    """Refuse what a run of its study could not do, before any work.

    Raises:
        ConfigError, DataError: see `check_config` of the study.
    """
    if isinstance(config, DPOStudyConfig):
        check_study(config)
    else:
        check_config(config)


def run_study(config: AuditConfig, upto: str, *, progress: Progress | None = None) -> Any:
    """Bring a run of any study up to a stage.

    Raises:
        BezoarError: of the stage that could not be done; what came before it is kept.
    """
    if isinstance(config, DPOStudyConfig):
        return run_dpo(config, upto, progress=progress)
    return run_stages(config, upto, progress=progress)
