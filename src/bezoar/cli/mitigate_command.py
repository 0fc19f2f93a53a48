"""`bezoar mitigate`."""

from __future__ import annotations

from typing import Any

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


@opt.takes(*opt.TEXTS, "methods", "budget", "scorer_a")
def command(**given: Any) -> None:
    """Fit each method's edit to the budget."""
    run_stage("mitigate", given)
