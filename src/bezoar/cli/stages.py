"""What the commands that work in a run folder have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bezoar.cli import options as opt

if TYPE_CHECKING:
    from bezoar.runs import AuditConfig


def begin(config: AuditConfig, *, fresh: bool = False, update: bool = False) -> None:
    """Settle what happens to a run that is already in the folder, before any work.

    Raises:
        RunError: see `bezoar.runs.Run.open`.
    """
    from bezoar.runs import Run

    Run.open(config.out, config, resume=not fresh, update=update).close()


def run_stage(name: str, given: dict[str, Any]) -> None:
    """Bring a run up to one stage, and show that stage's result.

    Options given on the command line change the configuration that the run was started with; the
    stages they touch run again.
    """
    from bezoar.cli.show import progress, show
    from bezoar.runs.folder import CONFIG

    out = given["out"] or Path("runs/audit")
    config = opt.configure(
        {key: value for key, value in given.items() if key in opt.KEYS} | {"out": out},
        config=given["config"],
        assignments=given["assign"],
        quick=given["quick"],
        below=out / CONFIG,
    )
    from bezoar.studies.audit import check_config, run_stages

    check_config(config)
    begin(config, update=True)
    with progress(given["quiet"], given["json"]) as bars:
        result = run_stages(config, upto=name, progress=bars)
    show(result, as_json=given["json"], unmask=config.report.unmask)
