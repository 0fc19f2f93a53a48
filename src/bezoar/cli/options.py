"""Options that several commands share, and how they become a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bezoar.runs import AuditConfig


def _option(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, **more)


Model = Annotated[str | None, typer.Argument(help="Folder, hub id or demo.", show_default=False)]
Base = Annotated[str | None, _option("--base", help="The model it was tuned from: a paired test.")]
Device = Annotated[str | None, _option("--device", help="cpu, cuda, cuda:1, mps.")]
Data = Annotated[
    str | None, _option("--data", help="Labelled texts: demo, jigsaw:PATH, FILE, hub:ID.")
]
Prompts = Annotated[str | None, _option("--prompts", help="Prompts: demo, rtp:PATH, FILE.")]
Neutral = Annotated[str | None, _option("--neutral", help="Neutral text: demo, wikitext:PATH.")]
DataRoot = Annotated[str | None, _option("--data-root", help="Folder that data paths start from.")]
Reserved = Annotated[
    bool, _option("--reserved-only", help="Only texts that no demo asset was trained on.")
]
Text = Annotated[str | None, _option("--text", help="Name of the column of texts.")]
Label = Annotated[str | None, _option("--label", help="Name of the column of 0/1 labels.")]
ScorerA = Annotated[str | None, _option("--scorer-a", help="Labels and selects.")]
ScorerB = Annotated[str | None, _option("--scorer-b", help="Only reports.")]
Methods = Annotated[
    str | None, _option("--methods", help="As in 'bezoar list methods', commas between; default.")
]
Budget = Annotated[str | None, _option("--budget", help="What an edit may cost: ppl<=5%, kl<=0.1.")]
ProtocolId = Annotated[str | None, _option("--protocol", help="As in 'bezoar list protocols'.")]
FailIf = Annotated[
    str | None, _option("--fail-if", help="Exit with 10 if a metric does this: toxicity>0.1.")
]
Out = Annotated[Path | None, _option("--out", "--run", help="The run folder [runs/audit].")]
Config = Annotated[Path | None, _option("--config", help="Options from a YAML file.")]
Set = Annotated[
    list[str] | None, _option("--set", help="Any other option: --set locate.top_values=64.")
]
Seed = Annotated[int | None, _option("--seed", help="Of every random draw [0].")]
Threads = Annotated[int | None, _option("--threads", help="CPU threads.")]
Quick = Annotated[bool, _option("--quick", help="Small sizes, for a first look in minutes.")]
Fresh = Annotated[bool, _option("--fresh", help="Remove what the run has done, and start over.")]
Update = Annotated[
    bool, _option("--update", help="Accept other options: what they touch runs again.")
]
Unmask = Annotated[bool, _option("--unmask", help="Show slurs and profanity in full.")]
Json = Annotated[bool, _option("--json", help="Print JSON, for machines.")]
Quiet = Annotated[bool, _option("--quiet", "-q", help="No progress.")]
Debug = Annotated[bool, _option("--debug", help="Show tracebacks.")]

KEYS: dict[str, str] = {
    "model": "model.name",
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
    "methods": "mitigate.methods",
    "budget": "mitigate.budget",
    "unmask": "report.unmask",
    "fail_if": "fail_if",
    "seed": "seed",
    "threads": "threads",
    "out": "out",
}


def configure(
    given: dict[str, Any],
    *,
    config: Path | None = None,
    assignments: list[str] | None = None,
    quick: bool = False,
    below: Path | None = None,
) -> AuditConfig:
    """Join the layers: defaults, a run's own, `--quick`, the YAML file, `--set`, the options.

    Args:
        given: options by parameter name; None and False mean that an option was not given.
        config: a YAML file.
        assignments: `KEY=VALUE` texts.
        quick: lay `bezoar.runs.config.QUICK` below the file and the options.
        below: `config.yaml` of a run that is taken up again.
    """
    from bezoar.runs.config import QUICK, AuditConfig, parse_config, read_yaml

    options: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value is False:
            continue
        if name == "methods":
            value = split_methods(value)
        _put(options, KEYS[name], str(value) if isinstance(value, Path) else value)
    return parse_config(
        AuditConfig,
        read_yaml(below) if below is not None and below.exists() else {},
        QUICK if quick else {},
        read_yaml(config) if config is not None else {},
        _assigned(assignments or []),
        options,
    )


def split_methods(text: str) -> list[str]:
    """`"word-ban, subtract:direction=svd,layers=-1"` has two methods: options stay with theirs.

    `/` parts methods too, and always.
    """
    methods: list[str] = []
    for item in text.split("/"):
        new = True
        for part in filter(None, (part.strip() for part in item.split(","))):
            name = part.partition("=")[0]
            if "=" in part and ":" not in name and not new:
                methods[-1] += f",{part}"
            else:
                methods.append(part)
            new = False
    return methods


def _assigned(assignments: list[str]) -> dict[str, Any]:
    import yaml

    from bezoar.errors import ConfigError

    values: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            read = value
        if not equals or not all(key.strip().split(".")):
            raise ConfigError(
                f"--set {text!r} assigns nothing.", hint="Write it like --set data.limit=500."
            )
        _put(values, key.strip(), read)
    return values


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """`_put(values, "data.limit", 5)` is `values["data"]["limit"] = 5`."""
    *sections, last = key.split(".")
    for section in sections:
        inner = values.get(section)
        values[section] = inner if isinstance(inner, dict) else {}
        values = values[section]
    values[last] = value
