"""The closed set of operations an activation edit may do: data, never code.

Every operation is a frozen set of tensors and numbers with one `apply`, so that an edit can be
saved, compared, composed and reasoned about. The affine ones also say which affine map they are
(`affine`), and that is all `fold` needs to turn them into weights.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bezoar.errors import EditError
from bezoar.runs.results import one_line

OpT = TypeVar("OpT", bound="Op")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AffineMap:
    """x ↦ scale ⊙ x + left (right x) + shift, on column vectors x; an absent part does nothing."""

    scale: Float[Tensor, " d"] | None = None
    left: Float[Tensor, "d r"] | None = None
    right: Float[Tensor, "r d"] | None = None
    shift: Float[Tensor, " d"] | None = None

    __repr__ = one_line


class Op(ABC):
    """One operation on the last axis of an activation; always returns a new tensor."""

    __slots__ = ()
    tag: ClassVar[str]

    __repr__ = one_line

    @property
    @abstractmethod
    def width(self) -> int:
        """Width of the activations it acts on."""

    @abstractmethod
    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """The changed activations. The operation's tensors must be on ``x``'s device and dtype."""

    def affine(self) -> AffineMap | None:
        """The affine map this is, or None if it is not affine."""
        return None

    def to(self: OpT, device: torch.device, dtype: torch.dtype) -> OpT:
        """A copy whose tensors lie on a device, in a dtype."""
        moved = {
            field.name: value.to(device, dtype)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, field.name), Tensor | Op)
        }
        return dataclasses.replace(self, **moved)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Add(Op):
    """x ↦ x + vector."""

    tag: ClassVar[str] = "add"
    vector: Float[Tensor, " d"]

    @property
    def width(self) -> int:
        return self.vector.shape[0]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        return x + self.vector

    def affine(self) -> AffineMap:
        return AffineMap(shift=self.vector)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Project(Op):
    """x ↦ x − fraction · Bᵀ B x, for orthonormal rows B: fraction 1 removes the subspace.

    With ``fraction = 1 − α`` this is the spectral edit W' = W (I − (1 − α) P) at ``unembed_in``.
    """

    tag: ClassVar[str] = "project"
    basis: Float[Tensor, "k d"]
    fraction: float = 1.0

    def __post_init__(self) -> None:
        # In full precision only: a copy moved to bfloat16 is orthonormal to its rounding.
        if len(self.basis) and self.basis.dtype in (torch.float32, torch.float64):
            gram = (self.basis @ self.basis.T).double()
            error = float(
                (gram - torch.eye(len(gram), device=gram.device)).abs().max().nan_to_num(9)
            )
            if error > 1e-3:
                raise EditError(
                    f"The basis of a projection is not orthonormal (off by {error:.2g}).",
                    hint="Orthonormalise its rows, for example with torch.linalg.qr.",
                )

    @property
    def width(self) -> int:
        return self.basis.shape[1]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        return x - self.fraction * ((x @ self.basis.T) @ self.basis)

    def affine(self) -> AffineMap:
        return AffineMap(left=-self.fraction * self.basis.T, right=self.basis)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Affine(Op):
    """x ↦ x + left (right x) + shift: any affine map as the identity plus two thin factors."""

    tag: ClassVar[str] = "affine"
    left: Float[Tensor, "d r"]
    right: Float[Tensor, "r d"]
    shift: Float[Tensor, " d"]

    @property
    def width(self) -> int:
        return self.shift.shape[0]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        return x + (x @ self.right.T) @ self.left.T + self.shift

    def affine(self) -> AffineMap:
        shift = self.shift if bool(self.shift.any()) else None
        return AffineMap(left=self.left, right=self.right, shift=shift)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gate(Op):
    """x ↦ scale ⊙ x, unit by unit (a dampened neuron has a scale below 1)."""

    tag: ClassVar[str] = "gate"
    scale: Float[Tensor, " d"]

    @property
    def width(self) -> int:
        return self.scale.shape[0]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        return x * self.scale

    def affine(self) -> AffineMap:
        return AffineMap(scale=self.scale)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Clamp(Op):
    """Hold latents within bounds: f = encoder x + bias, x ↦ x + (clip(f) − f) decoder.

    With ``rectified`` the latents are relu(encoder x + bias), as in a sparse autoencoder. With
    encoder = decoder = an orthonormal basis it clamps coordinates.
    """

    tag: ClassVar[str] = "clamp"
    encoder: Float[Tensor, "k d"]
    decoder: Float[Tensor, "k d"]
    bias: Float[Tensor, " k"]
    low: Float[Tensor, " k"]
    high: Float[Tensor, " k"]
    rectified: bool = False

    @property
    def width(self) -> int:
        return self.encoder.shape[1]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        latents = x @ self.encoder.T + self.bias
        if self.rectified:
            latents = latents.relu()
        return x + (latents.clamp(self.low, self.high) - latents) @ self.decoder


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conditional(Op):
    """Apply another operation only where ``x · probe`` is above (or below) a threshold."""

    tag: ClassVar[str] = "conditional"
    probe: Float[Tensor, " d"]
    threshold: float
    then: Op
    when: Literal["above", "below"] = "above"

    def __post_init__(self) -> None:
        if self.then.width != self.width:
            raise EditError(
                f"A conditional of width {self.width} guards an operation of width "
                f"{self.then.width}.",
                hint="Both must act on the same site.",
            )

    @property
    def width(self) -> int:
        return self.probe.shape[0]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        score = (x @ self.probe).unsqueeze(-1)
        fires = score > self.threshold if self.when == "above" else score < self.threshold
        return torch.where(fires, self.then.apply(x), x)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bottleneck(Op):
    """x ↦ x + up · gelu(down x + bias): an added layer, the operation of a `ModuleEdit`."""

    tag: ClassVar[str] = "bottleneck"
    down: Float[Tensor, "r d"]
    bias: Float[Tensor, " r"]
    up: Float[Tensor, "d r"]

    @property
    def width(self) -> int:
        return self.up.shape[0]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        return x + functional.gelu(x @ self.down.T + self.bias) @ self.up.T
