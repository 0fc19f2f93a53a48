"""`bezoar lens`."""

from __future__ import annotations

from typing import Any

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


@opt.takes(*opt.TEXTS)
def command(**given: Any) -> None:
    """Follow a prediction through the layers with the logit lens."""
    run_stage("lens", given)
