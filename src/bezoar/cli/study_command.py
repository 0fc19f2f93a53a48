"""`bezoar study`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from bezoar.cli import options as opt
from bezoar.cli.stages import begin, check_texts, runner

Study = Annotated[
    Literal["dpo", "experts", "sae"],
    typer.Argument(
        help="dpo: DPO and toxicity (Lee et al. 2024). experts: EigenShift, neurons and layers. "
        "sae: sparse autoencoders, their latents against dense probes.",
        show_default=False,
    ),
]


def _of_saes(name: str, metavar: str, help: str) -> Any:
    return Annotated[
        str | None,
        typer.Option(name, metavar=metavar, help=f"Study sae: {help}", show_default=False),
    ]


_SAES = _of_saes("--sae", "LIST", "autoencoders, as topk:k=32, relu:l1=0.2,seed=1.")
_SITES = _of_saes("--sites", "LIST", "where, as every.resid_post, -1.mlp_out.")
_HARMLESS = _of_saes("--harmless", "LIST", "harmless texts, as xstest:PATH.")
_OF_AUDITS = (
    *("base", "prompts", "neutral", "scorer_a", "scorer_b", "methods", "budget"),
    *("protocol", "capability", "fail_if"),
)
_OF_SAES = {"saes": "sae", "sites": "sites", "harmless": "harmless"}


@opt.takes(
    *(name for name in opt.SHARED if name != "base"),
    first={"study": Study},
    more={"saes": _SAES, "sites": _SITES, "harmless": _HARMLESS},
    instead={"model": opt.Models, "out": opt.out_in("runs/dpo", "runs/experts", "runs/sae")},
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
    _check_given(study, given)
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


def _check_given(study: str, given: dict[str, Any]) -> None:
    """Refuse an option that this study would ignore.

    Raises:
        ConfigError: naming it.
    """
    from bezoar.errors import ConfigError

    alien = _OF_AUDITS if study == "sae" else tuple(_OF_SAES)
    for name in alien:
        if given.get(name):
            option = _OF_SAES.get(name, name).replace("_", "-")
            raise ConfigError(
                f"A study of {study} does not take --{option}.",
                hint="Its texts are --data and --harmless; latents steer in an audit: "
                "bezoar audit --methods sae-latents."
                if study == "sae"
                else "It belongs to 'bezoar study sae'.",
            )
