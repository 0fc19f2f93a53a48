"""`bezoar explore`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage

if TYPE_CHECKING:
    from bezoar.runs.sections import AuditConfig

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Folder, hub id or demo: lengths in its tokens, and what reading them takes.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "--run",
        metavar="DIR",
        help="With DATA: a page, pictures and lists go there; else the run folder [runs/audit].",
        show_default=False,
    ),
]
Data = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="Texts with or without labels: demo, galtea:PATH, FILE[#COLUMN], hub:ID.",
        show_default=False,
    ),
]


def _option(name: str, metavar: str, help: str, kind: Any = str, **more: Any) -> Any:
    made = typer.Option(f"--{name}", metavar=metavar, help=help, show_default=False, **more)
    return Annotated[kind | None, made]


COLUMNS = {
    "positive": _option("positive", "VALUE", "The label, or a known set's category, that means 1."),
    "source": _option("source", "COLUMN", "Names where each text came from."),
    "category": _option("category", "COLUMN", "Names the kind of each text."),
}
OWN = {
    "limit": _option("limit", "N", "Texts of DATA at most, drawn by hash.", int, min=1),
    "min_characters": _option(
        "min-characters", "N", "Shorter texts of DATA are noise [15].", int, min=0
    ),
}
OF_A_RUN = ("data", "prompts", "neutral", "reserved_only", "config", "quick", "update")


@opt.takes(
    *opt.TEXTS,
    instead={"model": Model, "out": Out},
    more={"texts": Data, **COLUMNS, **OWN},
)
def command(**given: Any) -> None:
    """Describe the labelled texts: sizes, sources, lengths, duplicates.

    With DATA, whatever it is, labelled or not. Without, the explore stage of a run, which also sets
    the texts aside that the run will report on.
    """
    own = {name: given.pop(name) for name in ("texts", *OWN)}
    columns = {name: given.pop(name) for name in COLUMNS}
    # As JSON, which is YAML: a value such as "yes" or "1" stays the text that it is.
    said = [f"data.{k}={json.dumps(value)}" for k, value in columns.items() if value is not None]
    given["assign"] = [*(given["assign"] or []), *said]
    data = own.pop("texts")
    _check_options(data, given, own)
    if data is None:
        run_stage("explore", given)
    else:
        _explore(data, given, **own)


def _check_options(data: str | None, given: dict[str, Any], own: dict[str, Any]) -> None:
    """Refuse options that have no meaning here.

    Raises:
        ConfigError: naming them.
    """
    from bezoar.errors import ConfigError

    if data is None:
        if wrong := [name for name, value in own.items() if value is not None]:
            raise ConfigError(
                f"{_written(wrong)} is for DATA, and none was named.",
                hint="Write bezoar explore DATA, or for a run --set data.limit=N.",
            )
    elif wrong := [name for name in OF_A_RUN if given[name]]:
        hint = f"Leave it out; or leave DATA out, and give --data {data}."
        if "data" in wrong:
            hint = f"Name the texts once. If {data!r} is a model, write --model {data}."
        raise ConfigError(f"{_written(wrong)} is for a run, and DATA ({data}) is none.", hint=hint)


def _written(names: list[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _explore(
    data: str, given: dict[str, Any], limit: int | None, min_characters: int | None
) -> None:
    """Look at texts outside of any run."""
    from bezoar.runs.sections import AuditConfig

    out: Path | None = given["out"]
    named = {name: given[name] for name in ("text", "label", "data_root", "model", "device")}
    config = opt.configure(named, assignments=given["assign"], kind=AuditConfig)
    _check_places(config, out)
    opt.use_threads(given["threads"])

    from bezoar.cli.show import progress, show
    from bezoar.corpus.explore_load import load_texts
    from bezoar.corpus.explore_noise import MIN_CHARACTERS
    from bezoar.corpus.explore_survey import survey

    seed, reading = given["seed"] or 0, config.data.reading()
    for name in ("split", "group", "reserved_only"):
        reading.pop(name)
    texts = load_texts(data, **reading, limit=limit, seed=seed)
    lm = None
    if given["model"] is not None:
        from bezoar.cli.load import loaded

        lm = loaded(config.model)
    least = MIN_CHARACTERS if min_characters is None else min_characters
    with progress(given["quiet"], given["json"]) as bars:
        seen = survey(texts, lm, min_characters=least, seed=seed, progress=bars)
    show(seen, as_json=given["json"], unmask=given["unmask"])
    if out is None:
        return
    from bezoar.report.survey import DROPPED, write_survey

    page = write_survey(out, seen, texts, unmask=given["unmask"])
    if not given["json"]:
        said = f"\n{page}, pictures and tables beside it; what is noise is listed in {DROPPED}."
        show(said, as_json=False)


def _check_places(config: AuditConfig, out: Path | None) -> None:
    """Refuse folders that are missing, or in use, before any work.

    Raises:
        DataError: if the folder that paths start from is not there.
        RunConflict: if the pictures would go into the folder of a run.
    """
    from bezoar.errors import DataError, RunConflict
    from bezoar.runs.folder import CONFIG

    root = config.data.root
    if root is not None and not Path(root).is_dir():
        raise DataError(
            f"There is no folder {root} for data paths to start from.", hint="Check --data-root."
        )
    if out is not None and (out / CONFIG).exists():
        raise RunConflict(
            f"{out} is the folder of a run.",
            hint="Give another --out; or leave DATA away, to explore the texts of the run.",
        )
    if out is not None and out.is_file():
        raise RunConflict(f"{out} is a file.", hint="Give --out the name of a folder.")
