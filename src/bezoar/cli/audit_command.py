"""`bezoar audit`."""

from __future__ import annotations

from typing import Any

from bezoar.cli import options as opt
from bezoar.cli.stages import begin, check_texts


@opt.takes(*opt.SHARED)
def command(**given: Any) -> None:
    """Measure, locate, remove, measure again, and write a report.

    The behaviour is whatever the labelled texts say: toxicity, with the demo's. A run that was
    stopped goes on where it was when the same command is given again.
    """
    from bezoar.runs.sections import QUICK, AuditConfig

    config = opt.configure(
        opt.settings(given),
        config=given["config"],
        assignments=given["assign"],
        quick=QUICK if given["quick"] else None,
        kind=AuditConfig,
    )
    check_texts(config)

    from bezoar.cli.show import console, progress, show
    from bezoar.errors import GateFailed
    from bezoar.studies.audit import check_config, run_audit

    check_config(config)
    begin(config, fresh=given["fresh"], update=given["update"])
    as_json, quiet = given["json"], given["quiet"]
    said = None if quiet or as_json else console(stderr=True)
    with progress(quiet, as_json) as bars:
        summary = run_audit(config, progress=bars, console=said)
    show(summary, as_json=as_json, unmask=config.report.unmask)
    if summary.gate_failed:
        raise GateFailed(
            f"The gate {config.fail_if} was met: {summary.gate_failed}.",
            hint="The audit is complete: this status is its verdict.",
        )
