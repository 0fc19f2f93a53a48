"""`bezoar doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bezoar.cli import options as opt


def command(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="A run folder: compare its files with their hashes."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Where runs are to be kept.")] = Path("runs"),
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Look for what is known to break or slow a run, or for damage in a run that was made."""
    from bezoar.cli.show import show
    from bezoar.runs.environment import Check, Diagnosis, doctor

    if run is None:
        diagnosis = doctor(out)
    else:
        from bezoar.runs.folder import verify_run

        found = ", ".join(verify_run(run)) or "no stage has finished"
        diagnosis = Diagnosis((Check(str(run), "ok", f"whole: {found}"),))
    show(diagnosis, as_json=json)
    if not diagnosis.healthy:
        raise typer.Exit(1)
