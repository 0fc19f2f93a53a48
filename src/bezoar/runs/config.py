"""Options as text: YAML in, layers merged and validated, resolved YAML out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from bezoar.errors import ConfigError, did_you_mean
from bezoar.runs.sae_sections import SAEStudyConfig
from bezoar.runs.sections import AuditConfig
from bezoar.runs.study_sections import (
    DPOStudyConfig,
    ExpertsStudyConfig,
    TuneConfig,
)

C = TypeVar("C", bound=BaseModel)

STUDIES: dict[str, type[AuditConfig]] = {
    "audit": AuditConfig,
    "dpo": DPOStudyConfig,
    "experts": ExpertsStudyConfig,
    "sae": SAEStudyConfig,
    "tune": TuneConfig,
}
"""The configuration of each kind of run."""

MAX_ALIASES = 8
"""In a YAML file: a few lines in which each repeats the one before would fill the memory."""


def parse_config(kind: type[C], *layers: Mapping[str, Any]) -> C:
    """Merge option layers, later ones winning, and validate them.

    Raises:
        ConfigError: naming the key, the value seen and the nearest valid keys.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer)
    for path, valid in _unknown_keys(kind, merged):
        raise ConfigError(f"Unknown option {'.'.join(path)!r}.", hint=did_you_mean(path[-1], valid))
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"Option {key!r} cannot be {first['input']!r}: {_sentence(first['msg'])}",
            hint=_describe(kind, first["loc"]),
        ) from error


def load_config(path: str | Path, kind: type[C], *overrides: Mapping[str, Any]) -> C:
    """Read a YAML file; `overrides` win over what it says."""
    return parse_config(kind, read_yaml(Path(path)), *overrides)


def load_run_config(path: str | Path) -> AuditConfig:
    """The configuration of a run, of the kind that its ``study`` names.

    Raises:
        ConfigError: as `load_config`, or for a study that there is not.
    """
    study = read_yaml(Path(path)).get("study", "audit")
    if study not in STUDIES:
        raise ConfigError(
            f"{path} is of the study {study!r}.", hint=did_you_mean(str(study), STUDIES)
        )
    return load_config(path, STUDIES[study])


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file (safe loader: nothing in it executes).

    Raises:
        ConfigError: if it cannot be read, is no YAML, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
        if aliases > MAX_ALIASES:
            raise yaml.YAMLError(f"{aliases} aliases (*name), more than {MAX_ALIASES}.")
        value = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror}.", hint="Give a YAML file of options."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise ConfigError(
            f"{path} is not YAML: {where}", hint="Look for an open bracket, quote or a tab there."
        ) from error
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError(
            f"{path} holds a {type(value).__name__}, not options.",
            hint="Write 'section:' and below it, indented, 'option: value'.",
        )
    return value


def to_yaml(config: BaseModel, *, without: Collection[str] = ()) -> str:
    """A config with every default written out, save the sections in `without`."""
    plain = config.model_dump(mode="json", exclude=set(without))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=False, width=100)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts joined; `above` wins."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        out[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return out


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """`{"data": {"limit": 5}}` as `{"data.limit": 5}`."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    out: dict[str, Any] = {}
    for key, inner in value.items():
        out |= flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return out


def _section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _unknown_keys(
    kind: type[BaseModel], values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for key, value in values.items():
        field = kind.model_fields.get(key)
        if field is None:
            yield (*path, str(key)), list(kind.model_fields)
            continue
        inner = _section(field.annotation)
        if inner is not None and isinstance(value, Mapping):
            yield from _unknown_keys(inner, value, (*path, key))


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".") + "."


def _describe(kind: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """The description of the option at `loc`, as far as it has one."""
    current: type[BaseModel] | None = kind
    text = ""
    for part in loc:
        field = current.model_fields.get(str(part)) if current is not None else None
        if field is None:
            break
        text = field.description or ""
        current = _section(field.annotation)
    return text
