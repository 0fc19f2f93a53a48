"""What a model's folder says of itself, read before anything is built from it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from bezoar.errors import ModelError

_INDEX = "model.safetensors.index.json"
_OBJECTS = (
    "config.json",
    "generation_config.json",
    _INDEX,
    "special_tokens_map.json",
    "tokenizer_config.json",
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_WIDE = ("F64", "F32", "F16", "BF16")
# lists of these lengths are made while a configuration is read, or in a forward pass
_LENGTHS = {
    re.compile(r"layers?$"): 1_000,
    re.compile(r"heads?$"): 10_000,
    re.compile(r"labels$"): 1_000_000,
}
_POSITIVE = re.compile(
    "n_layer|num_hidden_layers|n_embd|hidden_size|n_head|num_attention_heads|vocab_size|n_positions"
)


@dataclass(frozen=True, slots=True)
class Held:
    """How much the weights of a folder are: tensors, and the most numbers these can stand for."""

    tensors: int
    numbers: int


def check_folder(path: Path) -> Held | None:
    """Refuse a folder that cannot be a model, or whose configuration is absurd.

    Returns:
        What its weights hold; None where that cannot be told (of an adapter's).

    Raises:
        ModelError: saying which file is missing or wrong, and how.
    """
    files = sorted(file.name for file in path.iterdir())
    if "config.json" not in files:
        raise ModelError(
            f"{path} holds no config.json, so it is no Hugging Face model.",
            hint=f"It holds: {', '.join(files[:8]) or 'nothing'}.",
        )
    if not any(file.endswith(".safetensors") for file in files):
        pickled = [file for file in files if file.endswith(_PICKLES)]
        raise ModelError(
            f"{path} holds no safetensors weights.",
            hint=f"{', '.join(pickled)} may run code when loaded and is not read: convert it to "
            "safetensors where you trust it."
            if pickled
            else "Is the download complete?",
        )
    objects = {name: _object(path / name) for name in _OBJECTS if name in files}
    config = objects["config.json"]
    _check_index(path, objects.get(_INDEX, {}), files)
    held = None if "adapter_config.json" in files else _held(path)
    _check_sizes(path, config, held)
    return held


def _object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        why = f"{file} is no JSON: {error}."
        raise ModelError(why, hint="Is the download complete?") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file} holds a {type(value).__name__} where an object belongs.")
    return value


def _check_index(path: Path, index: dict[str, Any], files: list[str]) -> None:
    """Weights are in safetensors files of this folder, and nowhere else."""
    shards = index.get("weight_map", {})
    named = shards.values() if isinstance(shards, dict) else [shards]
    for name in {str(name) for name in named}:
        if "/" in name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelError(
                f"{path / _INDEX} names {name[:80]!r}, which is no safetensors file beside it.",
                hint="Do not load this model unless you trust where it comes from.",
            )
        if name not in files and "model.safetensors" not in files:  # which goes before
            raise ModelError(f"{path} lacks {name[:80]}.", hint="Is the download complete?")


def _check_sizes(path: Path, config: dict[str, Any], held: Held | None) -> None:
    tensors = 0 if held is None else held.tensors
    for name, value in _whole_numbers(config):
        most = min((most for end, most in _LENGTHS.items() if end.search(name)), default=value)
        if value > max(most, tensors):
            why = f"which cannot be: its weights are {tensors:,} tensors"
        elif value < 1 and _POSITIVE.fullmatch(name):
            why = "which cannot be"
        else:
            continue
        raise ModelError(
            f"{path / 'config.json'} says {name} is {str(value)[:24]}, {why}.",
            hint="Is it the configuration that these weights were saved with?",
        )


def _whole_numbers(config: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Those of a configuration, and of the ones in it (``text_config``)."""
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        yield from ((name, value) for name, value in part.items() if isinstance(value, int))


def _held(path: Path) -> Held | None:
    tensors = numbers = 0
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safe_open(file, "pt") as weights:
                slices = [weights.get_slice(name) for name in weights.keys()]  # noqa: SIM118
                for kind, shape in ((s.get_dtype(), s.get_shape()) for s in slices):
                    # anything narrower than these may be packed, to one number a bit at most
                    packed = 1 if kind in _WIDE else int((re.findall(r"\d+", kind) or [1])[0])
                    tensors += 1
                    numbers += packed * math.prod(shape)
        except (OSError, SafetensorError) as error:
            if not file.name.startswith("model"):
                return None  # nothing that transformers would read
            raise ModelError(
                f"{file} is damaged: {error}.", hint="Is the download complete (git lfs pull)?"
            ) from error
    return Held(tensors, numbers)
