"""`bezoar study`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from bezoar.cli import options as opt
from bezoar.cli.stages import begin, check_texts, runner

Study = Annotated[
    Literal["dpo", "experts"],
    typer.Argument(
        help="dpo: DPO and toxicity (Lee et al. 2024). experts: EigenShift, neurons and layers.",
        show_default=False,
    ),
]


@opt.takes(
    *(name for name in opt.SHARED if name != "base"),
    first={"study": Study},
    instead={"model": opt.Models, "out": opt.out_in("runs/dpo", "runs/experts")},
)
def command(**given: Any) -> None:
    """Repeat a published study: every experiment, table and figure, in one report.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from bezoar.errors import ConfigError
    from bezoar.runs.config import STUDIES
    from bezoar.runs.study_sections import QUICKS

    study = given.pop("study")
    given["model"], *others = given["model"] or [None]
    if others and study != "experts":
        raise ConfigError(
            f"A study of {study} is of one model, and {1 + len(others)} are named.",
            hint="Run it once for each, with another --out.",
        )
    given["others"] = tuple(others) or None
    config = opt.configure(
        opt.settings(given),
        config=given["config"],
        assignments=given["assign"],
        quick=QUICKS[study] if given["quick"] else None,
        kind=STUDIES[study],
    )
    check_texts(config)

    from bezoar.cli.show import console, progress, show

    check, run = runner(study)
    check(config)
    begin(config, fresh=given["fresh"], update=given["update"])
    as_json, quiet = given["json"], given["quiet"]
    said = None if quiet or as_json else console(stderr=True)
    with progress(quiet, as_json) as bars:
        summary = run(config, progress=bars, console=said)
    show(summary, as_json=as_json, unmask=config.report.unmask)
