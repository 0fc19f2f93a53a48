"""A run folder that was begun with other options: which, since when, and what can be done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bezoar import __version__
from bezoar.errors import ConfigError, RunConflict
from bezoar.runs.config import flatten, load_config, read_yaml
from bezoar.runs.sections import FREE_KEYS
from bezoar.runs.stages import MARKER

SHOWN = 6
READ_BY: dict[str, tuple[str, ...]] = {
    "evaluate.protocol": ("explore",),
    "mitigate.select_prompts": ("explore",),
    "harvest": ("harvest",),
    "locate.site": ("harvest",),
    "locate": ("locate",),
    "pairs": ("pairs",),
    "states": ("states",),
    "experts": ("experts",),
    "moments": ("moments",),
    "sae": ("sae",),
    "mitigate": ("mitigate", "search"),
    "search": ("search",),
    "evaluate.scorer_a": ("pairs", "states", "mitigate", "search"),
    "evaluate.kl_tokens": ("mitigate", "search"),
    "evaluate": ("evaluate", "finalists"),
    "grid": ("grid",),
    "layers": ("layers",),
    "detect": ("detect",),
}
"""The first stages, of any kind of run, that read an option or section; any other concerns all."""
READ_BY_STUDY: dict[str, dict[str, tuple[str, ...]]] = {
    "sae": {
        "sae": ("harvest", "saes"),
        "features": ("quality", "features"),
        "contest": ("quality", "contest"),
        "contest.harmless": ("explore",),
        "contest.harmless_limit": ("explore",),
        "contest.false_alarms": ("detector",),
    },
}
"""The same of one kind of run, before what holds for any."""


def refuse_conflict(folder: Path, file: Path, config: BaseModel, environments: Path) -> None:
    """Compare what a run was asked with what is asked now.

    Args:
        folder: the run, for messages.
        file: its configuration.
        config: the configuration that is asked for.
        environments: its record of where it was made; names the bezoar that made it.

    What no stage has read yet may still be chosen.

    Raises:
        RunConflict: naming the keys, their values there and now, and a command that goes on.
    """
    again = f"'bezoar {_command(config)} --config {file} --out {folder}'"
    made_by = versions(environments)
    other = f"bezoar {made_by[-1]}" if made_by and made_by[-1] != __version__ else ""
    _refuse_other_study(folder, file, config)
    try:
        there = load_config(file, type(config))
    except ConfigError as error:
        raise RunConflict(
            f"The run in {folder} was configured by {other or 'another version'}, and bezoar "
            f"{__version__} does not understand it: {error.message}",
            hint="Choose another folder with --out, or start over with --fresh.",
        ) from error
    old, new = (_binding(c) for c in (there, config))
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    readers = READ_BY | READ_BY_STUDY.get(str(getattr(config, "study", "")), {})
    if not any(_was_read(readers, key, folder) for key in keys):
        return
    changed = [f"{key} ({old.get(key)!r} there, {new.get(key)!r} now)" for key in keys]
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    message = f"{folder} holds a run with other options: {', '.join(changed[:SHOWN])}{more}."
    if other:
        message += (
            f" It was begun by {other} and this is bezoar {__version__}: what you did not set "
            "yourself is a default or preset that changed in between."
        )
    raise RunConflict(
        message,
        hint=f"Go on with its own options: {again}. Or choose another --out; --update runs again "
        "what the change touches; --fresh starts over.",
    )


def _refuse_other_study(folder: Path, file: Path, config: BaseModel) -> None:
    there, now = read_yaml(file).get("study", "audit"), getattr(config, "study", "audit")
    if there != now:
        raise RunConflict(
            f"{folder} holds a run of another study: {there}, not {now}.",
            hint="Choose another folder with --out, or start over with --fresh.",
        )


def _command(config: BaseModel) -> str:
    """What runs a configuration of this kind."""
    study = str(getattr(config, "study", "audit"))
    return study if study in ("audit", "tune") else f"study {study}"


def _was_read(readers: Mapping[str, tuple[str, ...]], key: str, folder: Path) -> bool:
    """Whether a stage that reads an option was begun."""
    first = readers.get(key) or readers.get(key.partition(".")[0])
    return first is None or any((folder / stage / MARKER).exists() for stage in first)


def versions(environments: Path) -> list[str]:
    """The versions of bezoar that worked in a run, in the order in which they came."""
    try:
        seen = json.loads(environments.read_bytes())
        found = [each["packages"]["bezoar"] for each in seen]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return []
    return [version for version in found if isinstance(version, str)]


def binding_hash(config: BaseModel) -> str:
    """The hash of every option that may change a number."""
    plain = json.dumps(_binding(config), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:32]


def _binding(config: BaseModel) -> dict[str, Any]:
    flat = flatten(config.model_dump(mode="json"))
    free = tuple(f"{key}." for key in FREE_KEYS)
    return {k: v for k, v in flat.items() if not f"{k}.".startswith(free)}
