"""Autoencoders on disk, as SAELens keeps them: either tool opens what the other wrote.

    cfg.json                  SAELens' description (version 6), with what it calls metadata
    sae_weights.safetensors   W_enc [d_model d_sae], W_dec [d_sae d_model], biases, thresholds
    bezoar.json               where it comes from (`SAEInfo`), the hash of the weights; ours alone

BatchTopK and Matryoshka are written as the JumpReLU autoencoders that they are once their threshold
is learned; ``bezoar.json`` remembers what they were trained as.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from bezoar.errors import ConfigError, CorruptArtefact, SAEError
from bezoar.runs.plain import MAX_JSON, plain_file
from bezoar.runs.results import atomic_write, save_json, to_plain
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.info import SAEInfo
from bezoar.sae.registry import get_architecture
from bezoar.sae.saelens import describe, understand

CONFIG, WEIGHTS, ABOUT = "cfg.json", "sae_weights.safetensors", "bezoar.json"
VERSION = 1
MAX_WEIGHTS = 2**36  # bytes
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RecursionError, SafetensorError)


def save_sae(sae: SparseAutoencoder, folder: str | Path) -> None:
    """Write the three files, each whole or not at all, the one with the hash last.

    Args:
        sae: with its input scaling folded in, as `train_saes` returns it.
        folder: made if it is missing.
    """
    folder = Path(folder)
    name, extra, tensors = sae.exported()
    plain = {key: t.detach().float().cpu().contiguous() for key, t in tensors.items()}
    data = safetensors.torch.save(plain)
    atomic_write(folder / WEIGHTS, data)
    save_json(folder / CONFIG, describe(sae.info, name) | extra)
    about = {
        "version": VERSION,
        "sha256": hashlib.sha256(data).hexdigest(),
        "info": to_plain(sae.info),
    }
    save_json(folder / ABOUT, about)


def load_sae(folder: str | Path) -> SparseAutoencoder:
    """Read an autoencoder that `save_sae` or SAELens wrote, trusting nothing.

    Raises:
        CorruptArtefact: if a file is missing, a link, altered, or holds what is no number.
        SAEError: if it is of a kind that is not known, or does what ours do not (inputs that are
            normalised row by row, for example).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorruptArtefact(
            f"{folder} is no folder of an autoencoder.",
            hint=f"Give the folder that {CONFIG} and {WEIGHTS} lie in.",
        )
    config = _json(folder, CONFIG)
    info, sha256 = _about(folder)
    tensors = _weights(folder, sha256)
    if info is None:
        info, tensors = understand(config, tensors)
    try:
        kind = get_architecture(info.architecture)
        options: Any = TypeAdapter(kind.Options).validate_python(
            {key: info.options[key] for key in _fields(kind.Options) if key in info.options}
        )
    except (ConfigError, ValidationError) as error:
        raise SAEError(
            f"{folder} holds an autoencoder of a kind that cannot be read: {_first(error)}",
            hint="Install the package that brings its architecture.",
        ) from error
    try:
        sae = kind(info.d_model, info.d_sae, options)
        sae.adopt(tensors)
    except SAEError as error:
        raise SAEError(f"{folder}: {error.message}", hint=error.hint) from error
    sae.info = info
    return sae.requires_grad_(False).eval()


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(plain_file(folder / name, limit=MAX_JSON).read_bytes())
    except _UNREADABLE as error:
        raise _corrupt(folder, f"{name} is no JSON: {_first(error)}") from error
    if not isinstance(value, dict):
        raise _corrupt(folder, f"{name} holds no object")
    return value


def _about(folder: Path) -> tuple[SAEInfo | None, str | None]:
    """What ``bezoar.json`` says; nothing for a folder that SAELens wrote."""
    if not (folder / ABOUT).exists() and not (folder / ABOUT).is_symlink():
        return None, None
    about = _json(folder, ABOUT)
    try:
        if about["version"] != VERSION:
            raise ValueError(f"{ABOUT} has version {about['version']!r}")
        info = TypeAdapter(SAEInfo).validate_python(about["info"])
        return info, str(about["sha256"])
    except _UNREADABLE as error:
        raise _corrupt(folder, _first(error)) from error


def _weights(folder: Path, sha256: str | None) -> dict[str, Tensor]:
    try:
        data = plain_file(folder / WEIGHTS, limit=MAX_WEIGHTS).read_bytes()
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError(f"{WEIGHTS} does not have the hash that {ABOUT} names")
        tensors = safetensors.torch.load(data)
    except _UNREADABLE as error:
        raise _corrupt(folder, _first(error)) from error
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise _corrupt(folder, f"tensor {name!r} is not finite")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _fields(options: type) -> tuple[str, ...]:
    return tuple(getattr(options, "__dataclass_fields__", {}))


def _first(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _corrupt(folder: Path, reason: str) -> CorruptArtefact:
    return CorruptArtefact(
        f"{folder} cannot be read as an autoencoder: {reason}.",
        hint="Train it again, or restore the folder from a copy.",
    )
