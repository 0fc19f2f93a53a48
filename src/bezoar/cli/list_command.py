"""`bezoar list`."""

from __future__ import annotations

from typing import Annotated

import typer

from bezoar.cli import options as opt


def command(
    what: Annotated[
        str,
        typer.Argument(help="methods, scorers, protocols, tasks, data or sites.", metavar="WHAT"),
    ],
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Sites of this model.")
    ] = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """List methods, scorers, protocols, tasks, data or sites."""
    from bezoar.cli.catalogue import catalogue
    from bezoar.cli.show import show
    from bezoar.errors import ConfigError, did_you_mean

    lists = catalogue()
    if what not in lists:
        raise ConfigError(f"No list of {what!r}.", hint=did_you_mean(what, lists))
    if model is not None and what != "sites":
        raise ConfigError(
            f"The list of {what} is the same for every model.", hint="Leave --model away."
        )
    rows = lists[what] if model is None else _sites_of(model)
    if json:
        show(rows, as_json=True)
        return
    from rich.table import Table

    table = Table.grid("name", "what", padding=(0, 2))
    table.columns[0].no_wrap = True
    for name, line in rows.items():
        table.add_row(name, line)
    show(table, as_json=False)


def _sites_of(model: str) -> dict[str, str]:
    from bezoar.models import POINTS, LanguageModel

    lm = LanguageModel.from_pretrained(model)
    points = [point for point in POINTS if point in lm.anatomy.points()]
    return {str(site): "" for site in lm.sites([*points, "embed"])}
