"""Weights that lie elsewhere: on disk or in another memory, from where a hook of theirs fetches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def fetched(module: nn.Module | None) -> Iterator[None]:
    """The weights of an offloaded module are there for the while, by its own hook's doing.

    Of a module whose weights are there anyway, or that has no such hook, nothing changes.
    """
    hook: Any = getattr(module, "_hf_hook", None)
    if module is None or hook is None or not any(p.is_meta for p in module.parameters()):
        yield
        return
    hook.pre_forward(module)
    try:
        yield
    finally:
        hook.post_forward(module, None)
