"""`bezoar study`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from bezoar.cli import options as opt
from bezoar.cli.stages import begin, check_texts

Study = Annotated[
    Literal["dpo"],
    typer.Argument(help="dpo: DPO and toxicity (Lee et al. 2024).", show_default=False),
]


@opt.takes(*(name for name in opt.SHARED if name != "base"), first={"study": Study})
def command(**given: Any) -> None:
    """Repeat a published study: every experiment, table and figure, in one report.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from bezoar.runs.study_sections import QUICK_DPO, DPOStudyConfig

    config = opt.configure(
        opt.settings(given),
        config=given["config"],
        assignments=given["assign"],
        quick=QUICK_DPO if given["quick"] else None,
        kind=DPOStudyConfig,
    )
    check_texts(config)

    from bezoar.cli.show import console, progress, show
    from bezoar.studies.dpo import check_study, run_dpo

    check_study(config)
    begin(config, fresh=given["fresh"], update=given["update"])
    as_json, quiet = given["json"], given["quiet"]
    said = None if quiet or as_json else console(stderr=True)
    with progress(quiet, as_json) as bars:
        summary = run_dpo(config, progress=bars, console=said)
    show(summary, as_json=as_json, unmask=config.report.unmask)
