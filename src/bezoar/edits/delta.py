"""How one parameter changes: small algebra on stored tensors, applied in order.

Rows and columns are those of the tensor *as stored*: a Linear keeps ``[out, in]``, GPT-2's Conv1D
``[in, out]``. `fold` takes care of that; nothing here does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from bezoar.errors import EditError
from bezoar.runs.results import one_line


class Delta(ABC):
    """A change of one parameter; returns a new tensor, never writes into the old one."""

    __slots__ = ()
    tag: ClassVar[str]

    __repr__ = one_line

    @abstractmethod
    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a parameter of this shape can take the change."""

    @abstractmethod
    def apply(self, weight: Tensor) -> Tensor:
        """The new values of a parameter that it fits."""

    def check(self, shape: tuple[int, ...], name: str) -> None:
        """Refuse a parameter of another shape.

        Raises:
            EditError: if the change does not fit.
        """
        if not self.fits(shape):
            raise EditError(
                f"A {self.tag} change of another size met {name} of shape {shape}.",
                hint="The edit was made for another model.",
            )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dense(Delta):
    """W ↦ W + delta."""

    tag: ClassVar[str] = "dense"
    delta: Float[Tensor, "*shape"]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return tuple(self.delta.shape) == shape

    def apply(self, weight: Tensor) -> Tensor:
        return weight + self.delta.to(weight)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LowRank(Delta):
    """W ↦ W + A B."""

    tag: ClassVar[str] = "low_rank"
    A: Float[Tensor, "rows r"]
    B: Float[Tensor, "r cols"]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return (self.A.shape[0], self.B.shape[1]) == shape

    def apply(self, weight: Tensor) -> Tensor:
        return weight + self.A.to(weight) @ self.B.to(weight)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowScale(Delta):
    """Row i of W (element i of a bias) times scale i."""

    tag: ClassVar[str] = "row_scale"
    scale: Float[Tensor, " rows"]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) in (1, 2) and self.scale.shape[0] == shape[0]

    def apply(self, weight: Tensor) -> Tensor:
        scale = self.scale.to(weight)
        return weight * (scale if weight.ndim == 1 else scale[:, None])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ColumnScale(Delta):
    """Column j of W times scale j."""

    tag: ClassVar[str] = "column_scale"
    scale: Float[Tensor, " cols"]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 2 and self.scale.shape[0] == shape[1]

    def apply(self, weight: Tensor) -> Tensor:
        return weight * self.scale.to(weight)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chain(Delta):
    """Several changes of one parameter, in order."""

    tag: ClassVar[str] = "chain"
    steps: tuple[Delta, ...]

    def fits(self, shape: tuple[int, ...]) -> bool:
        return all(step.fits(shape) for step in self.steps)

    def apply(self, weight: Tensor) -> Tensor:
        for step in self.steps:
            weight = step.apply(weight)
        return weight


def chain(first: Delta, second: Delta) -> Delta:
    """The first change, then the second one."""
    steps: list[Delta] = []
    for delta in (first, second):
        steps.extend(delta.steps if isinstance(delta, Chain) else (delta,))
    return Chain(tuple(steps))
