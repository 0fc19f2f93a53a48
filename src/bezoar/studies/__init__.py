"""Studies: the whole job, from texts to report. Orchestration only; the rooms do the work."""

from bezoar.studies.audit import STAGES, AuditSummary, run_audit, run_stages

__all__ = ["STAGES", "AuditSummary", "run_audit", "run_stages"]
