"""`bezoar report`."""

from __future__ import annotations

from typing import Any

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


@opt.takes(*opt.TEXTS, "methods", "budget", "scorer_a", "scorer_b", "protocol", "base")
def command(**given: Any) -> None:
    """Write report.html and the model card of a run."""
    run_stage("report", given)
