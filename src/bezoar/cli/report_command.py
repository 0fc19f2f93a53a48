"""`bezoar report`."""

from __future__ import annotations

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


def command(
    model: opt.Model = None,
    unmask: opt.Unmask = False,
    out: opt.Out = None,
    config: opt.Config = None,
    assign: opt.Set = None,
    quick: opt.Quick = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Write report.html and the model card of a run."""
    run_stage("report", locals())
