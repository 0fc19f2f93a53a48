"""The module, the side of it, and the share of what passes there, that is a site's value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Where = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class HookPoint:
    """A module and the side of it at which a site's value passes.

    Attributes:
        module: hook this one.
        where: ``"input"`` (a forward pre-hook; the first tensor argument) or ``"output"`` (a
            forward hook; the tensor returned, or the first tensor of a returned tuple).
        writable: whether replacing the value there edits the site.
        delta: the site is the module's output minus its input (``resid_delta``).
        features: which features of it are the site's; None for all. One map may write the gate
            and the other factor of a gated MLP side by side.
        factor: the site's value is so many times what passes (a model may scale what a component
            wrote before adding it to the residual stream).
    """

    module: nn.Module
    where: Where
    writable: bool = True
    delta: bool = False
    features: slice | None = None
    factor: float = 1.0

    def read(self, passing: Float[Tensor, "*rows d_module"]) -> Float[Tensor, "*rows d"]:
        """The site's value in what passes; a view where it can be."""
        value = passing if self.features is None else passing[..., self.features]
        return value if self.factor == 1 else value * self.factor

    def replaced(
        self, passing: Float[Tensor, "*rows d_module"], change: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "*rows d_module"]:
        """What is to pass instead, for the site's value to become ``change`` of what it is."""
        new = change(self.read(passing))
        if self.factor != 1:
            new = new / self.factor
        if self.features is None:
            return new
        whole = passing.clone()
        whole[..., self.features] = new
        return whole
