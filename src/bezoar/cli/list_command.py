"""`bezoar list`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bezoar.cli import options as opt


def command(
    what: Annotated[str, typer.Argument(help="methods, scorers, protocols or sites.")],
    model: Annotated[str | None, typer.Option("--model", help="Sites of this model.")] = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """List methods, scorers, protocols or sites."""
    from bezoar.cli.show import show
    from bezoar.errors import ConfigError, did_you_mean

    lists = {"methods": _methods, "scorers": _scorers, "protocols": _protocols}
    if what == "sites":
        rows = _sites(model)
    elif what in lists:
        rows = lists[what]()
    else:
        raise ConfigError(f"No list of {what!r}.", hint=did_you_mean(what, [*lists, "sites"]))
    if json:
        show(rows, as_json=True)
    else:
        width = max(map(len, rows), default=0)
        show("\n".join(f"{name:{width}}  {line}" for name, line in rows.items()), as_json=False)


def _summary(thing: Any) -> str:
    return (thing.__doc__ or "").strip().split("\n")[0]


def _methods() -> dict[str, str]:
    from bezoar.mitigate import methods

    return {name: _summary(method) for name, method in methods().items()}


def _scorers() -> dict[str, str]:
    from bezoar.scoring import SCORERS

    return SCORERS


def _protocols() -> dict[str, str]:
    from bezoar.evaluate.protocols import PROTOCOLS

    return {
        name: f"{p.prompts_n:,} prompts ({p.prompt_kind}), {p.decoding.samples} x "
        f"{p.decoding.max_new_tokens} tokens, {p.statistic}, {p.perplexity}"
        for name, p in PROTOCOLS.items()
    }


def _sites(model: str | None) -> dict[str, str]:
    from bezoar.models import LanguageModel
    from bezoar.models.sites import GLOBAL_POINTS, POINTS

    if model is None:
        every = dict.fromkeys((f"LAYER.{point}" for point in POINTS), "in every layer")
        return every | dict.fromkeys(GLOBAL_POINTS, "once")
    lm = LanguageModel.from_pretrained(model)
    points = [point for point in POINTS if point in lm.anatomy.points()]
    return {str(site): "" for site in lm.sites([*points, "embed"])}
