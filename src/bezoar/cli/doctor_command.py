"""`bezoar doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bezoar.cli import options as opt

if TYPE_CHECKING:
    from bezoar.runs.environment import Check

_FOUND = ("explore", "harvest", "locate")
STAGES = {
    "audit": (*_FOUND, "lens", "mitigate", "evaluate", "report"),
    "dpo": (
        *(*_FOUND, "pairs", "mitigate", "evaluate"),
        *("compare", "attack", "claims", "report"),
    ),
    "experts": (
        *(*_FOUND, "experts", "mitigate", "evaluate"),
        *("grid", "layers", "detect", "claims", "report"),
    ),
    "sae": (
        *("explore", "harvest", "saes", "quality", "features"),
        *("contest", "detector", "claims", "report"),
    ),
    "tune": (*_FOUND, "search", "finalists", "report"),
}
"""As ``STAGES`` of the studies, which are heavy to import; those that only some runs have aside."""


def command(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="A run folder: compare its files with their hashes."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Where runs are to be kept.")] = Path("runs"),
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Look for what is known to break a run, or what is damaged or stale in one."""
    from bezoar.cli.show import show
    from bezoar.runs.environment import Diagnosis, doctor

    diagnosis = doctor(out) if run is None else Diagnosis(tuple(_of_run(run)))
    show(diagnosis, as_json=json)
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _of_run(run: Path) -> Iterator[Check]:
    """Whether its files are what they were, and its results those of its options."""
    from bezoar.errors import ConfigError
    from bezoar.runs.config import load_run_config
    from bezoar.runs.environment import Check
    from bezoar.runs.folder import CONFIG, verify_run
    from bezoar.runs.stale import stale_stages

    whole = verify_run(run)
    stale = stale_stages(run)
    fresh = [name for name in whole if name not in stale]
    study = "audit"
    yield Check(str(run), "ok", f"whole: {', '.join(whole) or 'no stage has finished'}")
    try:
        study = load_run_config(run / CONFIG).study
    except ConfigError as error:
        yield Check(CONFIG, "problem", error.message, error.hint)
    again = f"'bezoar report --run {run}' brings the run up to date."
    for name, why in stale.items():
        yield Check(name, "problem", f"stale: {why}", again)
    missing = [name for name in STAGES[study] if name not in whole and name not in stale]
    if "report" in fresh and not (run / "report.html").is_file():
        missing.append("report.html")
    if missing:
        yield Check("missing", "warning", ", ".join(missing), again)
