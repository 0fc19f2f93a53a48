"""Small things that the tests of models share."""

from __future__ import annotations

from torch import nn

TEXTS = (
    "the fool is not a good man",
    "you",
    "people said that this house would think so",
    "it was kind",
)


def hook_count(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


class Calls:
    """Counts the calls of a module while it is in a ``with`` block."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.count = module, 0

    def __enter__(self) -> Calls:
        self._handle = self.module.register_forward_pre_hook(self._seen)
        return self

    def _seen(self, *_: object) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self._handle.remove()
