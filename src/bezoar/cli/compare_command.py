"""`bezoar compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bezoar.cli import options as opt


def command(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="The run to compare with.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The run that is compared.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Also what does not differ.", show_default=False)
    ] = False,
    resamples: Annotated[
        int, typer.Option("--resamples", min=100, metavar="N", help="Of the paired bootstrap.")
    ] = 10_000,
    seed: opt.Seed = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Compare two runs metric by metric, paired by prompt.

    Differences are B minus A. Runs of different protocols or scorers are not comparable, and are
    refused.
    """
    from bezoar.compare import check_evaluated

    check_evaluated(run_a)
    check_evaluated(run_b)

    from bezoar.cli.show import show
    from bezoar.compare import compare_runs
    from bezoar.compare.table import comparison_table

    compared = compare_runs(run_a, run_b, resamples=resamples, seed=seed or 0)
    show(compared if json else comparison_table(compared, everything=everything), as_json=json)
