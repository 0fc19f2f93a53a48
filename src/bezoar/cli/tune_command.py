"""`bezoar tune`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bezoar.cli import options as opt
from bezoar.cli.stages import begin, check_texts

if TYPE_CHECKING:
    from bezoar.runs import TuneConfig
    from bezoar.search import Finalist
    from bezoar.studies.tune import TuneSummary

Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        metavar="N",
        min=1,
        help="Edits to try in all [100]; a finished run goes on.",
        show_default=False,
    ),
]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export",
        metavar="DIR",
        help="Save the chosen edit as an ordinary checkpoint.",
        show_default=False,
    ),
]


@opt.takes(
    *(name for name in opt.SHARED if name not in ("base", "fail_if")),
    instead={"out": opt.out_in("runs/tune")},
    more={"trials": Trials, "export": Export},
)
def command(**given: Any) -> None:
    """Search for the edit that lowers toxicity most within a budget.

    Methods, their options, strengths and stacks of them are tried on selection prompts; the best
    are measured again on others, by another scorer. A search that was stopped goes on when the same
    command is given again, and one that ended goes on with more --trials.
    """
    from bezoar.runs.study_sections import QUICK_TUNE, TuneConfig

    trials, export = given.pop("trials"), given.pop("export")
    config = opt.configure(
        opt.settings(given),
        config=given["config"],
        assignments=[*(given["assign"] or []), *([f"search.trials={trials}"] if trials else [])],
        quick=QUICK_TUNE if given["quick"] else None,
        kind=TuneConfig,
    )
    check_texts(config)
    _check_export(export)

    from bezoar.cli.show import console, progress, show
    from bezoar.studies.tune import check_tune, run_tune

    config = check_tune(config)
    begin(config, fresh=given["fresh"], update=given["update"])
    as_json, quiet = given["json"], given["quiet"]
    said = None if quiet or as_json else console(stderr=True)
    with progress(quiet, as_json) as bars:
        summary = run_tune(config, progress=bars, console=said)
    show(summary, as_json=as_json, unmask=config.report.unmask)
    chosen = _choose(summary, ask=not as_json and _terminal())
    if chosen is not None:
        told = _hand_over(config, summary, chosen, export)
        if not as_json:
            show(told, as_json=False)


def _check_export(export: Path | None) -> None:
    """Refuse a folder that holds something before hours of work, not after them."""
    if export is not None and export.exists() and (not export.is_dir() or any(export.iterdir())):
        from bezoar.errors import StoreError

        raise StoreError(
            f"{export} exists and is not empty.", hint="Nothing is overwritten: name a new folder."
        )


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _choose(summary: TuneSummary, *, ask: bool) -> Finalist | None:
    """The finalist that somebody at a terminal picks; without one, the chosen."""
    if summary.finals is None:
        return None
    finalists = summary.finals.finalists
    if not ask or len(finalists) == 1:
        return finalists[0]
    number = -1
    while not 0 <= number <= len(finalists):
        number = typer.prompt("Which one? 0 for none", default=1, type=int, err=True)
    return finalists[number - 1] if number else None


def _hand_over(
    config: TuneConfig, summary: TuneSummary, chosen: Finalist, export: Path | None
) -> object:
    """Export the chosen edit if that was asked for; what to say of it."""
    edit = Path(summary.run) / "finalists" / "edits" / chosen.name
    if export is None and not chosen.foldable:
        return f"{chosen.label} is kept in {edit}. It does not fold: {chosen.fold_reason}"
    if export is None:
        return f"To save it: bezoar apply {edit} {config.model.name} --out DIR"

    from bezoar.cli.load import loaded
    from bezoar.edits import export as export_edit
    from bezoar.edits import load_edit

    lm = loaded(config.model)
    return export_edit(lm, load_edit(edit, lm), export)
