"""`bezoar lens`."""

from __future__ import annotations

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


def command(
    model: opt.Model = None,
    prompts: opt.Prompts = None,
    device: opt.Device = None,
    unmask: opt.Unmask = False,
    out: opt.Out = None,
    config: opt.Config = None,
    assign: opt.Set = None,
    quick: opt.Quick = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Follow a prediction through the layers with the logit lens."""
    run_stage("lens", locals())
