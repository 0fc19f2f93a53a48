"""`bezoar locate`."""

from __future__ import annotations

from typing import Any

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


@opt.takes(*opt.TEXTS)
def command(**given: Any) -> None:
    """Find the behaviour: probes by layer and site, value vectors."""
    run_stage("locate", given)
