"""`bezoar doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bezoar.cli import options as opt


def command(
    out: Annotated[Path, typer.Option("--out", help="Where runs are to be kept.")] = Path("runs"),
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Look for what is known to break or slow a run."""
    from bezoar.cli.show import show
    from bezoar.runs.environment import doctor

    diagnosis = doctor(out)
    show(diagnosis, as_json=json)
    if not diagnosis.healthy:
        raise typer.Exit(1)
