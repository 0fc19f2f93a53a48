"""`bezoar evaluate`."""

from __future__ import annotations

from typing import Any

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


@opt.takes(
    *(*opt.TEXTS, "methods", "budget", "scorer_a", "scorer_b"),
    *("protocol", "capability", "base"),
)
def command(**given: Any) -> None:
    """Measure every edit beside its nulls, with intervals."""
    run_stage("evaluate", given)
