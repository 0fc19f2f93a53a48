"""`bezoar harvest`."""

from __future__ import annotations

from typing import Any

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


@opt.takes(*opt.TEXTS)
def command(**given: Any) -> None:
    """Read the activations of the labelled texts."""
    run_stage("harvest", given)
