"""The report of a study of DPO: each table and figure of Lee et al. 2024 under its number.

``sections`` holds one part of the page a file, in the order of the paper, and ``paper`` is what the
paper prints.
"""

from __future__ import annotations

from bezoar.report.dpo.page import write_dpo_report

__all__ = ["write_dpo_report"]
