"""A hash of what plain data, tensors and edits hold: the name under which a measurement is kept."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from bezoar.errors import ConfigError
from bezoar.models import Site


def digest(*values: Any) -> str:
    """32 hex digits of dataclasses, mappings, sequences, tensors, texts and numbers.

    Raises:
        ConfigError: for anything else, whose content cannot be told from its looks.
    """
    hasher = hashlib.sha256()
    _feed(hasher, values)
    return hasher.hexdigest()[:32]


def _feed(hasher: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        value = value.detach().cpu().float().numpy()
    if isinstance(value, np.ndarray):
        hasher.update(f"<{value.dtype} {value.shape}>".encode())
        hasher.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        hasher.update(f"<{len(raw)}>".encode() + raw)
    elif value is None or isinstance(value, bool | int | float | Site):
        hasher.update(f"<{value!r}>".encode())
    elif isinstance(value, Mapping):
        _feed(hasher, [(key, value[key]) for key in sorted(value)])
    elif isinstance(value, tuple | list):
        hasher.update(f"[{len(value)}]".encode())
        for item in value:
            _feed(hasher, item)
    elif dataclasses.is_dataclass(value):
        hasher.update(type(value).__name__.encode())
        _feed(hasher, [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)])
    else:
        raise ConfigError(
            f"A {type(value).__name__} has no content hash, so what depends on it cannot be kept.",
            hint="Give dataclasses, texts, numbers, arrays and tensors.",
        )
