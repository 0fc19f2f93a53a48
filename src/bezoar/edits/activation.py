"""Edits of activations: operations at sites, applied by hooks on the real modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bezoar.edits.edit import Applied, Edit
from bezoar.edits.ops import Op
from bezoar.edits.weight import WeightEdit
from bezoar.errors import EditError, did_you_mean
from bezoar.models import LanguageModel, Site, require_writable
from bezoar.runs.results import one_line

Positions = Literal["all", "last"]
POSITIONS: tuple[Positions, ...] = ("all", "last")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class At:
    """An operation at a site.

    Attributes:
        site: where; a negative layer counts from the last.
        op: what.
        positions: "all", or "last": the last real token of each row of a forward pass. While
            generating with a cache that is the last prompt token, then every new one.
    """

    site: Site
    op: Op
    positions: Positions = "all"

    __repr__ = one_line

    def __post_init__(self) -> None:
        if self.positions not in POSITIONS:
            raise EditError(
                f"positions={self.positions!r} is not known.",
                hint=did_you_mean(str(self.positions), POSITIONS),
            )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ActivationEdit(Edit):
    """Operations at sites. At one site they act in their order; between sites, as data flows."""

    kind: ClassVar[str] = "activation"
    ops: tuple[At, ...]
    name: str = "activation edit"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def at(
        cls,
        sites: Iterable[Site],
        op: Op,
        positions: Positions = "all",
        *,
        name: str = "activation edit",
        provenance: Mapping[str, Any] | None = None,
    ) -> ActivationEdit:
        """One operation at each of several sites (a layer set)."""
        ops = tuple(At(site, op, positions) for site in sites)
        return cls(ops, name=name, provenance=provenance or {})

    @property
    def foldable(self) -> bool:
        return all(at.op.affine() is not None for at in self.ops)

    def resolved(self, lm: LanguageModel) -> list[At]:
        """The operations with sites checked against the model.

        Raises:
            SiteError, EditError: if a site is not there, cannot be written, or has another width.
        """
        out = []
        for at in self.ops:
            site = lm.site(at.site)
            require_writable(lm.anatomy, site)
            if at.op.width != (width := lm.site_width(site)):
                raise EditError(
                    f"A {at.op.tag} of width {at.op.width} met {site} of width {width}.",
                    hint="The edit was made for another model or another point.",
                )
            out.append(At(site, at.op, at.positions))
        return out

    def check(self, lm: LanguageModel) -> None:
        self.resolved(lm)

    def hooks(self, lm: LanguageModel) -> Mapping[str, int]:
        return Counter(str(lm.site(at.site)) for at in self.ops)

    def fold(self, lm: LanguageModel) -> WeightEdit:
        from bezoar.edits.fold import fold_activation

        return fold_activation(self, lm)

    @contextmanager
    def _entered(self, lm: LanguageModel, applied: Applied) -> Iterator[None]:
        ops = self.resolved(lm)
        with ExitStack() as stack:
            needs_last = any(at.positions == "last" for at in ops)
            last = stack.enter_context(_last_tokens(lm)) if needs_last else None
            for at in ops:
                stack.enter_context(_hooked(lm, at, applied, last))
            yield


class _LastTokens:
    """Where each row's last real token is, in the forward pass that is under way."""

    def __init__(self) -> None:
        self.mask: Tensor | None = None  # [batch total]; with a cache, earlier tokens included

    def change(self, x: Float[Tensor, "*rows d"], op: Op) -> Float[Tensor, "*rows d"]:
        """``x`` with the operation done at the last real token of each row."""
        if x.ndim == 2 and self.mask is not None:  # rows of all texts, one after the other
            return self.change(x.unflatten(0, (self.mask.shape[0], -1)), op).flatten(0, 1)
        if x.ndim != 3:
            raise EditError(
                f"The last position was not found in activations of shape {tuple(x.shape)}.",
                hint="Use positions='all'.",
            )
        rows = torch.arange(x.shape[0], device=x.device)
        last = self._index(x.shape[1], x.device)
        changed = x.clone()
        changed[rows, last] = op.apply(x[rows, last])
        return changed

    def _index(self, length: int, device: torch.device) -> Tensor | int:
        if self.mask is None or self.mask.shape[1] < length:
            return length - 1
        place = torch.arange(length, device=self.mask.device) * (self.mask[:, -length:] != 0)
        return place.argmax(-1).to(device)


@contextmanager
def _last_tokens(lm: LanguageModel) -> Iterator[_LastTokens]:
    last = _LastTokens()

    def remember(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        mask = kwargs.get("attention_mask")
        last.mask = mask if isinstance(mask, Tensor) and mask.ndim == 2 else None

    handle = lm.anatomy.base.register_forward_pre_hook(remember, with_kwargs=True)
    try:
        yield last
    finally:
        handle.remove()


@contextmanager
def _hooked(
    lm: LanguageModel, at: At, applied: Applied, last: _LastTokens | None
) -> Iterator[None]:
    where = str(at.site)
    point = lm.anatomy.hook_point(at.site)
    op = at.op
    placed: tuple[torch.device, torch.dtype] | None = None

    def change(x: Tensor) -> Tensor:
        nonlocal op, placed
        applied.calls[where] += 1
        if placed != (x.device, x.dtype):  # only now is the device known, under a device map
            op, placed = at.op.to(x.device, x.dtype), (x.device, x.dtype)
        return last.change(x, op) if last and at.positions == "last" else op.apply(x)

    def replace(passing: Tensor) -> Tensor:
        return point.replaced(passing, change)

    if point.where == "input":
        handle = point.module.register_forward_pre_hook(_on_input(replace), with_kwargs=True)
    else:
        handle = point.module.register_forward_hook(_on_output(replace))
    try:
        yield
    finally:
        handle.remove()


def _on_input(
    change: Callable[[Tensor], Tensor],
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and isinstance(args[0], Tensor):
            return (change(args[0]), *args[1:]), kwargs
        for name, value in kwargs.items():
            if isinstance(value, Tensor) and value.is_floating_point():
                return args, {**kwargs, name: change(value)}
        raise EditError(f"{type(module).__name__} was called without a tensor that can be edited.")

    return hook


def _on_output(change: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return change(output)
        if isinstance(output, tuple) and isinstance(output[0], Tensor):
            return (change(output[0]), *output[1:])
        raise EditError(f"{type(module).__name__} returned a {type(output).__name__}, no tensor.")

    return hook
