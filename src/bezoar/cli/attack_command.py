"""`bezoar attack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model

if TYPE_CHECKING:
    from bezoar.edits import Edit
    from bezoar.models import LanguageModel


def command(
    model: opt.Model = None,
    edit: Annotated[
        Path | None, typer.Option("--edit", metavar="DIR", help="A saved edit of MODEL.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="MODEL", help="What MODEL, a checkpoint, was made of."),
    ] = None,
    attacks: Annotated[
        str, typer.Option("--attacks", metavar="LIST", help="As in 'bezoar list attacks', or all.")
    ] = "default",
    grid: Annotated[
        Literal["quick", "default", "full"],
        typer.Option("--grid", help="How many budgets, draws and seeds of each."),
    ] = "default",
    data: opt.Data = None,
    prompts: opt.Prompts = None,
    neutral: opt.Neutral = None,
    data_root: opt.DataRoot = None,
    count: Annotated[int, typer.Option("--count", min=4, help="Prompts to continue.")] = 100,
    neutral_tokens: Annotated[
        int, typer.Option("--neutral-tokens", min=256, help="For perplexity.")
    ] = 4000,
    limit: Annotated[
        float, typer.Option("--limit", min=1, help="Broken is beyond so many × the base's ppl.")
    ] = 1.2,
    protocol: opt.ProtocolId = None,
    scorer_b: opt.ScorerB = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="For results; a killed run goes on from there."),
    ] = None,
    keep_attacked: Annotated[
        bool, typer.Option("--keep-attacked", help="Save what undoes the remedy, as edits, too.")
    ] = False,
    seed: opt.Seed = None,
    device: opt.Device = None,
    assignments: SetModel = None,
    threads: opt.Threads = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Attack a remedy: how much of it survives, and is the behaviour gone or only hidden?

    The remedy is a saved edit (--edit), or what made a checkpoint of its --base. Attack what you
    may attack, to know what it is worth: see docs/responsible-use.md. No attacked weights are
    saved unless you ask for them.
    """
    _check(edit, base, attacks, out, keep_attacked)
    opt.use_threads(threads)

    from bezoar.cli.show import console, progress, show
    from bezoar.runs import save_result
    from bezoar.scoring import load_scorer
    from bezoar.studies.attack_model import attacker_for

    scorer = load_scorer(scorer_b or "demo-b")
    lm, remedy = _remedy(model or "demo", edit, base, device, assignments)
    with progress(quiet, json) as bars:
        attacker = attacker_for(
            lm,
            scorer,
            data=data or "demo",
            prompts=prompts or "demo",
            neutral=neutral or "demo",
            data_root=data_root,
            protocol=protocol or "LEE",
            count=count,
            neutral_tokens=neutral_tokens,
            names=attacks.split(","),
            grid=grid,
            limit=limit,
            seed=seed or 0,
            kept=None if out is None else out / "measured.jsonl",
            keep=out if keep_attacked else None,
            progress=bars,
        )
        if not (quiet or json):
            console(stderr=True).print(str(attacker.forecast()))
        found = attacker.attacked(remedy)
    if out is not None:
        for name in ("setup", "robustness", "residual", "sample_free"):
            if (result := getattr(found, name)) is not None:
                save_result(out / f"{name}.json", result)
    show(found, as_json=json)
    if not json:
        show(found.verdict(), as_json=False)


def _check(
    edit: Path | None, base: str | None, attacks: str, out: Path | None, keep_attacked: bool
) -> None:
    """Refuse what cannot be meant, before anything heavy is imported."""
    from bezoar.cli.catalogue import catalogue
    from bezoar.cli.edits import check_edit
    from bezoar.errors import ConfigError, did_you_mean

    if (edit is None) == (base is None):
        raise ConfigError(
            "Give a saved edit or the base of a checkpoint, one of the two.",
            hint="bezoar attack MODEL --edit DIR, or bezoar attack CHECKPOINT --base MODEL.",
        )
    if edit is not None:
        check_edit(edit)
    known = ("default", "all", *catalogue()["attacks"])
    for name in filter(None, (part.strip() for part in attacks.split(","))):
        if name not in known:
            raise ConfigError(f"There is no attack {name!r}.", hint=did_you_mean(name, known))
    if keep_attacked and out is None:
        raise ConfigError("--keep-attacked needs a folder.", hint="Give --out DIR.")


def _remedy(
    model: str,
    edit: Path | None,
    base: str | None,
    device: str | None,
    assignments: list[str] | None,
) -> tuple[LanguageModel, Edit]:
    """The base model, and what was done to it."""
    if edit is not None:
        from bezoar.edits import load_edit

        lm = load_model(model, device=device, assignments=assignments)
        return lm, load_edit(edit, lm)
    from bezoar.studies.attack_model import difference

    assert base is not None  # see _check
    lm = load_model(base, device=device, assignments=assignments)
    return lm, difference(lm, load_model(model, device=device, assignments=assignments))
