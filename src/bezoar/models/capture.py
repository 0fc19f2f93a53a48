"""Read activations with forward hooks on the real modules, and stop as soon as all are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from bezoar.errors import ModelError
from bezoar.models.anatomy import Anatomy
from bezoar.models.hook_point import HookPoint
from bezoar.models.sites import Site
from bezoar.models.trace import first_tensor

Reduce = Callable[[Site, Tensor], Tensor]


class _AllRead(BaseException):
    """Leaves a forward pass early. Not an Exception, so that no model code catches it."""


class Recorder:
    """Collects the values of sites during a forward pass.

    Args:
        anatomy: where the sites are.
        sites: what to read.
        reduce: applied to each value [batch pos d] as it passes, so that no more is kept.
        stop: leave the forward pass once every site was read.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        sites: Iterable[Site],
        *,
        reduce: Reduce | None = None,
        stop: bool = True,
    ) -> None:
        self._sites = list(dict.fromkeys(sites))
        self._points = {site: anatomy.hook_point(site) for site in self._sites}
        self._copy = anatomy.reuses_memory
        self._reduce = reduce
        self._stop = stop
        self.values: dict[Site, Tensor] = {}

    @contextmanager
    def listening(self, shape: tuple[int, int]) -> Iterator[dict[Site, Tensor]]:
        """Hooks are on inside this context and always off after it.

        Args:
            shape: (batch, pos), to which flattened values are restored.

        Raises:
            ModelError: if the forward pass ends without passing one of the sites.
        """
        handles: list[RemovableHandle] = []
        try:
            for site, point in self._points.items():
                handles += self._attach(site, point, shape)
            with torch.no_grad():
                yield self.values
        except _AllRead:
            pass
        finally:
            for handle in handles:
                handle.remove()
        missing = [site for site in self._sites if site not in self.values]
        if missing:
            raise ModelError(f"The forward pass ended without passing {missing[0]}.")

    def _attach(
        self, site: Site, point: HookPoint, shape: tuple[int, int]
    ) -> list[RemovableHandle]:
        entered: list[Tensor] = []

        def before(_: Any, args: Any, kwargs: Any) -> None:
            value = _required(first_tensor((args, kwargs)), site)
            if point.delta:
                entered.append(value.clone())
            else:
                self._keep(site, point.read(value), shape)

        def after(_: Any, args: Any, output: Any) -> None:
            value = _required(first_tensor(output), site)
            self._keep(site, value - entered.pop() if point.delta else point.read(value), shape)

        handles = []
        if point.where == "input" or point.delta:
            handles.append(point.module.register_forward_pre_hook(before, with_kwargs=True))
        if point.where == "output":
            handles.append(point.module.register_forward_hook(after))
        return handles

    def _keep(self, site: Site, value: Tensor, shape: tuple[int, int]) -> None:
        value = value.detach().reshape(*shape, -1)
        if self._copy:
            value = value.clone()
        if self._reduce is not None:
            value = self._reduce(site, value)
        self.values[site] = value
        if self._stop and len(self.values) == len(self._sites):
            raise _AllRead


def _required(value: Tensor | None, site: Site) -> Tensor:
    if value is None:
        raise ModelError(f"No tensor passed at {site}.")
    return value
