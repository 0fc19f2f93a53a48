"""Runs: a folder that knows what was asked of it, and goes on where it was stopped.

A run is opened with a configuration (`bezoar.runs.sections`), locked against a second process,
and filled stage by stage. Each stage's marker is written last and names every file by hash, so a
finished stage is skipped, a changed one runs again with all that follows, and a killed one loses
only what it had not yet written.
"""

from bezoar.runs.config import load_config, load_run_config, parse_config, to_yaml
from bezoar.runs.expressions import Budget, Gate, parse_budget, parse_gate
from bezoar.runs.folder import Run
from bezoar.runs.input_sections import PairsConfig, SAEConfig
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import (
    Result,
    atomic_write,
    kept,
    load_result,
    save_json,
    save_result,
    to_plain,
)
from bezoar.runs.sae_sections import ContestConfig, FeaturesConfig, SAEStudyConfig
from bezoar.runs.sections import (
    AnatomyConfig,
    AuditConfig,
    DataConfig,
    EvaluateConfig,
    HarvestConfig,
    LocateConfig,
    MitigateConfig,
    ModelConfig,
    ReportConfig,
)
from bezoar.runs.stages import Stage
from bezoar.runs.study_sections import (
    AttackConfig,
    CompareConfig,
    DPOStudyConfig,
    ExpertsStudyConfig,
    SearchConfig,
    TuneConfig,
)

__all__ = [
    "AnatomyConfig",
    "AttackConfig",
    "AuditConfig",
    "Budget",
    "CompareConfig",
    "ContestConfig",
    "DPOStudyConfig",
    "DataConfig",
    "EvaluateConfig",
    "ExpertsStudyConfig",
    "FeaturesConfig",
    "Gate",
    "HarvestConfig",
    "LocateConfig",
    "MitigateConfig",
    "ModelConfig",
    "PairsConfig",
    "Progress",
    "ReportConfig",
    "Result",
    "Run",
    "SAEConfig",
    "SAEStudyConfig",
    "SearchConfig",
    "Stage",
    "TuneConfig",
    "atomic_write",
    "kept",
    "load_config",
    "load_result",
    "load_run_config",
    "parse_budget",
    "parse_config",
    "parse_gate",
    "save_json",
    "save_result",
    "to_plain",
    "to_yaml",
    "track",
]
