"""`bezoar compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bezoar.cli import options as opt


def command(
    run_a: Annotated[Path, typer.Argument(help="The run to compare with.")],
    run_b: Annotated[Path, typer.Argument(help="The run that is compared.")],
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Bootstrap.")] = 10_000,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare two runs metric by metric, paired by prompt.

    Differences are B minus A. Runs of different protocols or scorers are not comparable, and are
    refused.
    """
    from bezoar.cli.show import show
    from bezoar.compare import compare_runs

    show(compare_runs(run_a, run_b, resamples=resamples), as_json=json)
