"""How directions, subspaces and probes lie on disk: a safetensors file, and the JSON owning it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TypeVar

import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from bezoar.errors import CorruptArtefact
from bezoar.runs.plain import MAX_JSON, plain_file
from bezoar.runs.results import atomic_write, save_json, to_plain

T = TypeVar("T")

VERSION = 1
MAX_NUMBERS = 2**32  # bytes: a basis as large as an unembedding stays below
_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    RecursionError,
    ValidationError,
    SafetensorError,
)


def save_artefact(folder: str | Path, kind: str, about: object, tensors: dict[str, Tensor]) -> None:
    """Write ``<kind>.safetensors``, then ``<kind>.json`` naming its hash; both whole or not at all.

    Args:
        folder: made if it is missing.
        kind: "direction", "subspace" or "probe"; the stem of both files.
        about: a dataclass of plain fields.
        tensors: detached to contiguous CPU copies.
    """
    folder = Path(folder)
    plain = {name: t.detach().to("cpu").contiguous().clone() for name, t in tensors.items()}
    data = safetensors.torch.save(plain)
    atomic_write(folder / f"{kind}.safetensors", data)
    envelope = {
        "kind": kind,
        "version": VERSION,
        "sha256": hashlib.sha256(data).hexdigest(),
        "about": to_plain(about),
    }
    save_json(folder / f"{kind}.json", envelope)


def load_artefact(folder: str | Path, kind: str, about: type[T]) -> tuple[T, dict[str, Tensor]]:
    """Read what `save_artefact` wrote, trusting nothing.

    Raises:
        CorruptArtefact: if a file is missing, a link, altered, of another kind or absurd size, or
            holds a number that is not finite.
    """
    folder = Path(folder)
    try:
        about_file = plain_file(folder / f"{kind}.json", limit=MAX_JSON)
        numbers_file = plain_file(folder / f"{kind}.safetensors", limit=MAX_NUMBERS)
        envelope = json.loads(about_file.read_bytes())
        if not isinstance(envelope, dict):
            raise ValueError(f"{kind}.json holds no object")
        if envelope["kind"] != kind or envelope["version"] != VERSION:
            raise ValueError(f"it holds {envelope['kind']!r} version {envelope['version']!r}")
        fields = TypeAdapter(about).validate_python(envelope["about"])
        data = numbers_file.read_bytes()
        if hashlib.sha256(data).hexdigest() != envelope["sha256"]:
            raise ValueError(f"{kind}.safetensors does not have the hash that {kind}.json names")
        tensors = safetensors.torch.load(data)
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"tensor {name!r} is not finite")
    except _UNREADABLE as error:
        raise corrupt(folder, kind, str(error) or type(error).__name__) from error
    return fields, tensors


def corrupt(folder: str | Path, kind: str, reason: str) -> CorruptArtefact:
    """The error for an artefact that cannot be believed."""
    return CorruptArtefact(
        f"{folder} cannot be read as a {kind}: {reason.splitlines()[0]}.",
        hint="Make it again, or restore the folder from a copy.",
    )
