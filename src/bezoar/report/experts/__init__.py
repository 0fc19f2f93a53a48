"""The report of a study of experts: the tables and figures of EigenShift (2025), with controls.

``sections`` holds one part of the page a file, in the order of the page, and ``paper`` is what the
paper prints.
"""

from __future__ import annotations

from bezoar.report.experts.page import write_experts_report

__all__ = ["write_experts_report"]
