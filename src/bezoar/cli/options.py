"""Options that several commands share, and how they become a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer

from bezoar.cli.assignments import assigned, put, split_methods

if TYPE_CHECKING:
    from bezoar.runs.sections import AuditConfig

    C = TypeVar("C", bound=AuditConfig)


def _option(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, **more)


Model = Annotated[
    str | None,
    typer.Argument(help="Folder, hub id or demo [demo].", metavar="MODEL", show_default=False),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        help="Folder, hub id or demo [demo]; of further ones, layers alone.",
        metavar="MODEL",
        show_default=False,
    ),
]
Base = Annotated[
    str | None,
    _option("--base", metavar="MODEL", help="The model it was tuned from: a paired test."),
]
Data = Annotated[
    str | None,
    _option("--data", metavar="SPEC", help="Labelled texts: demo, jigsaw:PATH, FILE, hub:ID."),
]
Prompts = Annotated[
    str | None,
    _option("--prompts", metavar="SPEC", help="Prompts: demo, rtp:PATH, FILE[#COLUMN], hub:ID."),
]
Neutral = Annotated[
    str | None,
    _option(
        "--neutral",
        metavar="SPEC",
        help="Neutral text: demo, wikitext:PATH, FILE[#COLUMN], hub:ID.",
    ),
]
DataRoot = Annotated[
    str | None, _option("--data-root", metavar="DIR", help="Folder that data paths start from.")
]
Reserved = Annotated[
    bool, _option("--reserved-only", help="Only texts that no demo asset was trained on.")
]
Text = Annotated[
    str | None, _option("--text", metavar="COLUMN", help="Name of the column of texts.")
]
Label = Annotated[
    str | None, _option("--label", metavar="COLUMN", help="Name of the column of 0/1 labels.")
]
ScorerA = Annotated[str | None, _option("--scorer-a", metavar="SCORER", help="Labels and selects.")]
ScorerB = Annotated[str | None, _option("--scorer-b", metavar="SCORER", help="Only reports.")]
Methods = Annotated[
    str | None,
    _option(
        "--methods", metavar="LIST", help="As in 'bezoar list methods', commas between; default."
    ),
]
Budget = Annotated[
    str | None, _option("--budget", metavar="COST", help="What an edit may cost: ppl<=5%, kl<=0.1.")
]
ProtocolId = Annotated[
    str | None, _option("--protocol", metavar="ID", help="As in 'bezoar list protocols'.")
]
Capability = Annotated[
    str | None,
    _option("--capability", metavar="LIST", help="As in 'bezoar list tasks', commas between."),
]
FailIf = Annotated[
    str | None,
    _option("--fail-if", metavar="GATE", help="Exit with 10 if a metric does this: toxicity>0.1."),
]


def out_in(*folders: str) -> Any:
    """The option of the run folder, with those that it is if none is given."""
    told = " or ".join(folders)
    return Annotated[
        Path | None, _option("--out", "--run", metavar="DIR", help=f"The run folder [{told}].")
    ]


Out = out_in("runs/audit")
Config = Annotated[
    Path | None, _option("--config", metavar="FILE", help="Options from a YAML file.")
]
Set = Annotated[
    list[str] | None,
    _option("--set", metavar="KEY=VALUE", help="Any other option: --set locate.top_values=64."),
]
Seed = Annotated[
    int | None, _option("--seed", metavar="N", min=0, help="Of every random draw [0].")
]
Device = Annotated[str | None, _option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int | None, _option("--threads", metavar="N", min=1, help="CPU threads.")]
Quick = Annotated[bool, _option("--quick", help="Small sizes, for a first look in minutes.")]
Fresh = Annotated[bool, _option("--fresh", help="Remove what the run has done, and start over.")]
Update = Annotated[
    bool, _option("--update", help="Accept other options: what they touch runs again.")
]
Unmask = Annotated[bool, _option("--unmask", help="Show slurs and profanity in full.")]
Json = Annotated[bool, _option("--json", help="Print JSON, for machines.")]
Quiet = Annotated[bool, _option("--quiet", "-q", help="No progress.")]
Debug = Annotated[bool, _option("--debug", help="Show tracebacks.")]

SHARED: dict[str, Any] = {
    "model": Model,
    "base": Base,
    "data": Data,
    "text": Text,
    "label": Label,
    "prompts": Prompts,
    "neutral": Neutral,
    "data_root": DataRoot,
    "reserved_only": Reserved,
    "scorer_a": ScorerA,
    "scorer_b": ScorerB,
    "methods": Methods,
    "budget": Budget,
    "protocol": ProtocolId,
    "capability": Capability,
    "fail_if": FailIf,
    "out": Out,
    "config": Config,
    "assign": Set,
    "seed": Seed,
    "device": Device,
    "threads": Threads,
    "quick": Quick,
    "fresh": Fresh,
    "update": Update,
    "unmask": Unmask,
    "json": Json,
    "quiet": Quiet,
    "debug": Debug,
}
"""Options of the commands that work in a run folder, in the order of their help."""

TEXTS = ("data", "text", "label", "prompts", "neutral", "data_root", "reserved_only")
EVERY = (
    *("model", "out", "config", "assign", "seed", "device", "threads", "quick", "update"),
    *("unmask", "json", "quiet", "debug"),
)
"""What every stage takes."""

KEYS: dict[str, str] = {
    "model": "model.name",
    "others": "layers.others",
    "base": "model.base",
    "device": "model.device",
    "data": "data.data",
    "prompts": "data.prompts",
    "neutral": "data.neutral",
    "data_root": "data.root",
    "reserved_only": "data.reserved_only",
    "text": "data.text",
    "label": "data.label",
    "scorer_a": "evaluate.scorer_a",
    "scorer_b": "evaluate.scorer_b",
    "protocol": "evaluate.protocol",
    "capability": "evaluate.capability",
    "methods": "mitigate.methods",
    "saes": "sae.saes",
    "sites": "sae.sites",
    "harmless": "contest.harmless",
    "budget": "mitigate.budget",
    "unmask": "report.unmask",
    "fail_if": "fail_if",
    "seed": "seed",
    "threads": "threads",
    "out": "out",
}


def takes(
    *names: str,
    first: Mapping[str, Any] = MappingProxyType({}),
    instead: Mapping[str, Any] = MappingProxyType({}),
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a function of ``**given`` the shared options of these names, beside `EVERY`.

    So an option is the same wherever it stands: name, meaning, help. ``first`` holds arguments that
    the command has alone; they are required. ``instead`` holds those of the shared ones that are
    of another kind here, ``more`` options that the command has alone.
    """
    kinds = SHARED | dict(instead)
    shared = [name for name in SHARED if name in names or name in EVERY]

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        own = [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in first.items()
        ]
        function.__signature__ = Signature(  # type: ignore[attr-defined]
            own
            + [
                Parameter(name, Parameter.KEYWORD_ONLY, default=_absent(name), annotation=kind)
                for name in shared
                for kind in (kinds[name],)
            ]
            + [
                Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
                for name, kind in more.items()
            ]
        )
        function.__annotations__ = {**first, **{name: kinds[name] for name in shared}, **more}
        return function

    return declare


def _absent(name: str) -> bool | None:
    return False if get_args(SHARED[name])[0] is bool else None


def use_threads(threads: int | None) -> None:
    """Bound the CPU threads of this process, where that was asked for."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's options that belong to the configuration."""
    return {name: value for name, value in given.items() if name in KEYS}


def configure(
    given: dict[str, Any],
    *,
    config: Path | None = None,
    assignments: list[str] | None = None,
    quick: Mapping[str, Any] | None = None,
    below: Path | None = None,
    kind: type[C],
) -> C:
    """Join the layers: defaults, a run's own, `--quick`, the YAML file, `--set`, the options.

    Args:
        given: options by parameter name; None and False mean that an option was not given.
        config: a YAML file.
        assignments: `KEY=VALUE` texts.
        quick: a preset of small sizes, laid below the file and the options.
        below: `config.yaml` of a run that is taken up again.
        kind: of configuration.
    """
    from bezoar.runs.config import parse_config, read_yaml
    from bezoar.runs.plain import MAX_OPTIONS, plain_file

    options: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value is False:
            continue
        if name in ("methods", "saes"):
            value = split_methods(value)
        put(options, KEYS[name], str(value) if isinstance(value, Path) else value)
    return parse_config(
        kind,
        read_yaml(plain_file(below, limit=MAX_OPTIONS)) if below and below.exists() else {},
        quick or {},
        read_yaml(config) if config is not None else {},
        assigned(assignments or []),
        options,
    )
