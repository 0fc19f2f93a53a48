"""What a model's ``forward`` can be told."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside a wrapper that adds adapters (PEFT), or the model itself."""
    inner = getattr(model, "get_base_model", None)
    return inner() if callable(inner) else model


def names_argument(model: nn.Module, name: str) -> bool:
    """Whether ``forward`` has a parameter of that name."""
    return name in inspect.signature(unwrapped(model).forward).parameters


def accepted(model: nn.Module, arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that ``forward`` takes, by name or among its keywords."""
    parameters = inspect.signature(unwrapped(model).forward).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return arguments
    return {name: value for name, value in arguments.items() if name in parameters}
