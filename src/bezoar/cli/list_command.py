"""`bezoar list`."""

from __future__ import annotations

from typing import Annotated

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model


def command(
    what: Annotated[
        str,
        typer.Argument(
            help="methods, attacks, scorers, protocols, tasks, data or sites.", metavar="WHAT"
        ),
    ],
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Sites of this model.")
    ] = None,
    assignments: SetModel = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """List methods, attacks, scorers, protocols, tasks, data or sites."""
    from bezoar.cli.catalogue import catalogue
    from bezoar.cli.show import show
    from bezoar.errors import ConfigError, did_you_mean

    lists = catalogue()
    if what not in lists:
        raise ConfigError(f"No list of {what!r}.", hint=did_you_mean(what, lists))
    if assignments and model is None:
        raise ConfigError("--set is about a model, and none was named.", hint="Give --model.")
    if model is not None and what != "sites":
        raise ConfigError(
            f"The list of {what} is the same for every model.", hint="Leave --model away."
        )
    rows = lists[what] if model is None else _sites_of(model, assignments)
    if json:
        show(rows, as_json=True)
        return
    from rich.table import Table

    table = Table.grid("name", "what", padding=(0, 2))
    table.columns[0].no_wrap = True
    for name, line in rows.items():
        table.add_row(name, line)
    show(table, as_json=False)


def _sites_of(model: str, assignments: list[str] | None) -> dict[str, str]:
    from bezoar.models import POINTS, Site

    lm = load_model(model, assignments=assignments)
    sites = [Site(layer, point) for layer in range(lm.n_layers) for point in POINTS]
    return {str(s): "" for s in sorted([Site(None, "embed"), *sites]) if lm.anatomy.has(s)}
