"""`bezoar evaluate`."""

from __future__ import annotations

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


def command(
    model: opt.Model = None,
    protocol: opt.ProtocolId = None,
    prompts: opt.Prompts = None,
    neutral: opt.Neutral = None,
    scorer_b: opt.ScorerB = None,
    device: opt.Device = None,
    out: opt.Out = None,
    config: opt.Config = None,
    assign: opt.Set = None,
    quick: opt.Quick = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Measure every edit beside its nulls, with intervals."""
    run_stage("evaluate", locals())
