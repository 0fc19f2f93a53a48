"""`bezoar mitigate`."""

from __future__ import annotations

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


def command(
    model: opt.Model = None,
    methods: opt.Methods = None,
    budget: opt.Budget = None,
    neutral: opt.Neutral = None,
    prompts: opt.Prompts = None,
    scorer_a: opt.ScorerA = None,
    device: opt.Device = None,
    out: opt.Out = None,
    config: opt.Config = None,
    assign: opt.Set = None,
    quick: opt.Quick = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Fit each method's edit to the budget."""
    run_stage("mitigate", locals())
