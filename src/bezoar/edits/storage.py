"""Edits on disk: ``edit.safetensors`` for numbers, ``edit.json`` for structure. Nothing executes.

The JSON names only types from a closed list, and their fields are checked against the declarations,
shapes included, before an edit is built. No file name, path or module name is ever taken from it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import safetensors.torch
import torch
from jaxtyping import AbstractArray, jaxtyped
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bezoar.edits.activation import ActivationEdit, At
from bezoar.edits.delta import Chain, ColumnScale, Dense, LowRank, RowScale
from bezoar.edits.edit import Composed, Edit, NoOp
from bezoar.edits.latents import SteerLatents
from bezoar.edits.logit import LogitEdit
from bezoar.edits.module import ModuleEdit
from bezoar.edits.ops import Add, Affine, Bottleneck, Clamp, Conditional, Gate, Project
from bezoar.edits.weight import WeightEdit
from bezoar.errors import BezoarError, CorruptArtefact, EditError
from bezoar.models import LanguageModel, Site
from bezoar.runs.results import atomic_write, save_json

FORMAT = "bezoar.edit"
VERSION = 1
MAX_JSON = 64 * 2**20
MAX_ELEMENTS = 2**33  # of one tensor: no unembedding comes near it

_EDITS: dict[str, type[Any]] = {
    c.kind: c for c in (NoOp, WeightEdit, ActivationEdit, LogitEdit, ModuleEdit, Composed)
}
_PARTS: dict[str, type[Any]] = {
    c.tag: c
    for c in (
        *(Add, Affine, Bottleneck, Clamp, Conditional, Gate, Project, SteerLatents),
        *(Chain, ColumnScale, Dense, LowRank, RowScale),
    )
}
_TYPES: dict[str, type[Any]] = {"at": At, **_EDITS, **_PARTS}
_TAGS = {cls: tag for tag, cls in _TYPES.items()}


def save_edit(edit: Edit, folder: str | Path, lm: LanguageModel | None = None) -> None:
    """Write an edit into a folder: the numbers first, then the JSON that owns them.

    Args:
        edit: any edit.
        folder: made if it is missing.
        lm: the model it was made for; its name, sizes and fingerprint are recorded.
    """
    folder = Path(folder)
    tensors: dict[str, Tensor] = {}
    structure = _encode(edit, tensors)
    data = safetensors.torch.save(tensors)
    atomic_write(folder / "edit.safetensors", data)
    model = None if lm is None else {**_sizes(lm), "name": lm.name, "fingerprint": lm.fingerprint}
    envelope = {
        "format": FORMAT,
        "version": VERSION,
        "bezoar": importlib.metadata.version("bezoar"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "model": model,
        "edit": structure,
    }
    save_json(folder / "edit.json", envelope)


def load_edit(
    folder: str | Path, lm: LanguageModel | None = None, *, same_model: bool = False
) -> Edit:
    """Read an edit, trusting nothing.

    Args:
        folder: what `Edit.save` wrote.
        lm: if given, the edit is checked against this model's sizes, sites and parameters.
        same_model: also require the very weights it was made for.

    Raises:
        CorruptArtefact: if the folder is damaged, altered, hostile, or no edit.
        EditError: if the edit does not fit ``lm``.
    """
    folder = Path(folder)
    try:
        envelope = _read_json(folder)
        if lm is not None:
            _check_model(envelope["model"], lm, same_model)
        tensors = _read_tensors(folder, envelope["sha256"])
        edit = _decode(envelope["edit"], tensors, Edit)
    except EditError as error:
        if lm is not None:
            raise
        raise _corrupt(folder, error.message) from error
    except BezoarError as error:
        raise _corrupt(folder, error.message) from error
    except (OSError, ValueError, TypeError, LookupError, RecursionError, SafetensorError) as error:
        raise _corrupt(folder, str(error) or type(error).__name__) from error
    assert isinstance(edit, Edit)
    if lm is not None:
        edit.check(lm)
    return edit


def _corrupt(folder: Path, reason: str) -> CorruptArtefact:
    first = (reason.splitlines() or ["unreadable"])[0].rstrip(".")
    return CorruptArtefact(
        f"{folder} cannot be read as an edit: {first}.",
        hint="Make it again, or restore the folder from a copy.",
    )


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / "edit.json"
    _check_file(path)
    if path.stat().st_size > MAX_JSON:
        raise ValueError(f"edit.json has {path.stat().st_size} bytes")
    envelope = json.loads(path.read_bytes())
    if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
        raise ValueError(f"edit.json does not say that its format is {FORMAT!r}")
    if envelope.get("version") != VERSION:
        raise ValueError(f"its version is {envelope.get('version')!r}, and {VERSION} is read here")
    return envelope


def _read_tensors(folder: Path, sha256: str) -> dict[str, Tensor]:
    path = folder / "edit.safetensors"
    _check_file(path)
    with safe_open(str(path), framework="pt") as file:  # the header alone, before any number
        for name in file.keys():  # noqa: SIM118 - not a dict
            view = file.get_slice(name)
            shape, dtype = view.get_shape(), view.get_dtype()
            elements = 1
            for size in shape:
                elements *= size
            if dtype != "F32" or elements > MAX_ELEMENTS:  # declarations tell how many axes
                raise ValueError(f"tensor {name!r} is {dtype} of shape {shape}")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("edit.safetensors does not have the hash that edit.json names")
    return safetensors.torch.load(data)


def _check_file(path: Path) -> None:
    """Refuse a missing file, a link that leads elsewhere, and a folder of pickles."""
    if path.is_symlink():
        raise ValueError(f"{path.name} is a link")
    if not path.is_file():
        others = [p.name for p in path.parent.glob("*") if p.suffix in (".pt", ".pkl", ".bin")]
        extra = f"; {others[0]} may run code when loaded and is never read" if others else ""
        raise ValueError(f"{path.name} is missing{extra}")


def _sizes(lm: LanguageModel) -> dict[str, int]:
    return {"d_model": lm.d_model, "n_layers": lm.n_layers, "d_vocab": lm.d_vocab}


def _check_model(recorded: Any, lm: LanguageModel, same_model: bool) -> None:
    if recorded is None:
        if same_model:
            raise EditError(
                "The edit does not say which model it was made for.",
                hint="Save it with edit.save(folder, lm).",
            )
        return
    for name, value in _sizes(lm).items():
        if recorded[name] != value:
            raise EditError(
                f"The edit was made for a model with {name} {recorded[name]}, and {lm.name} has "
                f"{value}.",
                hint=f"Load it on {recorded['name']!r} or a model of the same sizes.",
            )
    if same_model and recorded["fingerprint"] != lm.fingerprint:
        raise EditError(
            f"The edit was made for other weights (fingerprint {recorded['fingerprint']}) than "
            f"those of {lm.name} ({lm.fingerprint}).",
            hint="Pass same_model=False to use it on a relative of that model.",
        )


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().to("cpu", torch.float32).contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Site):
        return str(value)
    if type(value) in _TAGS:
        fields = {f.name: _encode(getattr(value, f.name), tensors) for f in _fields(type(value))}
        return {"type": _TAGS[type(value)], **fields}
    if isinstance(value, Mapping):
        return {str(key): _encode(item, tensors) for key, item in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [_encode(item, tensors) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise EditError(
        f"A {type(value).__name__} in an edit cannot be saved.",
        hint="Provenance holds text, numbers, lists and dicts only.",
    )


def _decode(plain: Any, tensors: dict[str, Tensor], hint: Any) -> Any:
    """The value that ``hint`` declares, or a ValueError, TypeError or LookupError."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return plain
    if origin is Literal:
        return _expect(plain in args, plain, plain, hint)
    if origin is tuple:
        _expect(isinstance(plain, list), plain, plain, hint)
        return tuple(_decode(item, tensors, args[0]) for item in plain)
    if origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(plain, dict), plain, plain, hint)
        return {key: _decode(item, tensors, args[1]) for key, item in plain.items()}
    if hint is Site:
        return Site.parse(_expect(isinstance(plain, str), plain, plain, hint))
    if isinstance(hint, type) and issubclass(hint, bool | int | float | str):
        number = hint is float and type(plain) is int
        return _expect(type(plain) is hint or number, hint(plain), plain, hint)
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        tensor = tensors[plain["tensor"]]
        return _expect(isinstance(tensor, hint), tensor, tuple(tensor.shape), hint)
    return _decode_object(plain, tensors, hint)


def _decode_object(plain: Any, tensors: dict[str, Tensor], hint: Any) -> Any:
    cls = _TYPES[plain["type"]]
    _expect(issubclass(cls, hint), cls, plain["type"], hint)
    fields = _fields(cls)
    given = set(plain) - {"type"}
    if given != {f.name for f in fields}:
        raise ValueError(f"a {plain['type']} has the fields {sorted(given)}")
    hints = get_type_hints(cls)
    values = {}
    with jaxtyped("context"):  # type: ignore[call-overload]  # one meaning of d for all its tensors
        for field in fields:
            values[field.name] = _decode(plain[field.name], tensors, hints[field.name])
    for name, value in values.items():
        # A ban is a bias of minus infinity, and a latent may be bounded on one side only.
        open_ended = name in ("bias", "low", "high")
        if isinstance(value, Tensor) and not bool(
            (value.isnan().logical_not() if open_ended else value.isfinite()).all()
        ):
            raise ValueError(f"{name} of a {plain['type']} is not finite")
    return cls(**values)


def _fields(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _expect(ok: bool, value: Any, seen: Any, hint: Any) -> Any:
    if not ok:
        raise ValueError(f"{seen!r} stands where {getattr(hint, '__name__', hint)} belongs")
    return value
