"""`bezoar audit`."""

from __future__ import annotations

from bezoar.cli import options as opt
from bezoar.cli.stages import begin


def command(
    model: opt.Model = None,
    base: opt.Base = None,
    data: opt.Data = None,
    prompts: opt.Prompts = None,
    neutral: opt.Neutral = None,
    data_root: opt.DataRoot = None,
    reserved_only: opt.Reserved = False,
    text: opt.Text = None,
    label: opt.Label = None,
    scorer_a: opt.ScorerA = None,
    scorer_b: opt.ScorerB = None,
    methods: opt.Methods = None,
    budget: opt.Budget = None,
    protocol: opt.ProtocolId = None,
    fail_if: opt.FailIf = None,
    out: opt.Out = None,
    config: opt.Config = None,
    assign: opt.Set = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    threads: opt.Threads = None,
    quick: opt.Quick = False,
    fresh: opt.Fresh = False,
    update: opt.Update = False,
    unmask: opt.Unmask = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Measure, locate, remove, measure again, and write a report.

    The behaviour is whatever the labelled texts say: toxicity, with the demo's. A run that was
    stopped goes on where it was when the same command is given again.
    """
    given = {name: value for name, value in locals().items() if name in opt.KEYS}
    resolved = opt.configure(given, config=config, assignments=assign, quick=quick)

    from bezoar.cli.show import console, progress, show
    from bezoar.errors import GateFailed
    from bezoar.studies.audit import check_config, run_audit

    check_config(resolved)
    begin(resolved, fresh=fresh, update=update)

    with progress(quiet, json) as bars:
        summary = run_audit(resolved, progress=bars, console=console(stderr=True))
    show(summary, as_json=json, unmask=resolved.report.unmask)
    if summary.gate_failed:
        raise GateFailed(f"The gate {resolved.fail_if} was met: {summary.gate_failed}")
