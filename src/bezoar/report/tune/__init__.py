"""The page of a search: what was found, what it looks like again, and what it cost."""

from bezoar.report.tune.page import write_tune_report

__all__ = ["write_tune_report"]
