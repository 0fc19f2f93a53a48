"""Studies: the whole job, from texts to report. Orchestration only; the rooms do the work."""

from bezoar.studies.audit import STAGES, AuditSummary, run_audit, run_stages
from bezoar.studies.dpo import run_dpo
from bezoar.studies.summary import StudySummary

__all__ = ["STAGES", "AuditSummary", "StudySummary", "run_audit", "run_dpo", "run_stages"]
