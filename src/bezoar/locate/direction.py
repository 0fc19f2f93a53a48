"""Directions and subspaces of the residual stream, with the story of where they came from.

A bare vector is not enough to act on: subtracting "100 units" means different things for a raw MLP
row, a probe's weights and a unit singular vector. So a direction is a *unit* vector beside its
original norm, the site it was read at, the pooling, the sign convention and the hash of its data.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import DataError, SiteError
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.models import Site
from bezoar.runs.results import one_line

TOWARDS_BEHAVIOUR = "positive = more of the behaviour"
"""The sign convention of everything this room returns."""


@dataclass(frozen=True, slots=True)
class _About:
    name: str
    site: str
    pooling: str
    sign: str
    trained_on: str
    norm: float = 1.0
    singular_values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Direction:
    """A unit vector at a site, and what it was before it was made a unit vector.

    Attributes:
        vector: float32, on the CPU, of norm 1.
        norm: the original norm; ``raw`` gives the original vector.
        site: where it was read (a probe's input) or where it writes (a value vector).
        pooling: how the rows behind it were pooled ("mean", "max", "last", "none").
        sign: what a larger projection means.
        trained_on: hash of the data it was estimated from ("" if from weights alone).
        name: for people, e.g. "probe 4.resid_post".
    """

    vector: Float[Tensor, " d"]
    norm: float
    site: Site
    pooling: str = "none"
    sign: str = TOWARDS_BEHAVIOUR
    trained_on: str = ""
    name: str = "direction"

    __repr__ = one_line

    @classmethod
    def of(
        cls,
        raw: Float[Tensor, " d"],
        site: Site,
        *,
        pooling: str = "none",
        sign: str = TOWARDS_BEHAVIOUR,
        trained_on: str = "",
        name: str = "direction",
    ) -> Direction:
        """The direction of a raw vector, whose norm is kept.

        Raises:
            DataError: if the vector is zero or not finite.
        """
        raw = raw.detach().to("cpu", torch.float32)
        # In double, scaled first: the norm of a large float32 vector must not overflow.
        wide = raw.double()
        norm = float(wide.norm())
        if not math.isfinite(norm) or norm == 0:
            raise DataError(
                f"The vector of {name!r} has norm {norm:g}, so it has no direction.",
                hint="Check the data it was estimated from: are both classes there, and finite?",
            )
        return cls((wide / norm).float(), norm, site, pooling, sign, trained_on, name)

    @property
    def raw(self) -> Float[Tensor, " d"]:
        """The original vector, ``norm · vector``."""
        return self.vector * self.norm

    def __neg__(self) -> Direction:
        return dataclasses.replace(self, vector=-self.vector, name=f"-{self.name}")

    def cosine(self, other: Direction) -> float:
        """Cosine between two directions of equal width."""
        return float(self.vector.double() @ other.vector.double())

    def save(self, folder: str | Path) -> None:
        """Write ``direction.safetensors`` and ``direction.json`` into a folder."""
        about = _About(
            self.name, str(self.site), self.pooling, self.sign, self.trained_on, self.norm
        )
        save_artefact(folder, "direction", about, {"vector": self.vector})

    @classmethod
    def load(cls, folder: str | Path) -> Direction:
        """Read a saved direction back.

        Raises:
            CorruptArtefact: if it is damaged, altered, or no unit vector.
        """
        about, tensors = load_artefact(folder, "direction", _About)
        vector = _only(folder, "direction", tensors, "vector", 1)
        if not math.isfinite(about.norm) or about.norm <= 0:
            raise corrupt(folder, "direction", f"norm is {about.norm}")
        if abs(float(vector.norm()) - 1) > 1e-4:
            raise corrupt(folder, "direction", f"the vector has norm {float(vector.norm()):g}")
        site = _site(folder, "direction", about.site)
        return cls(
            vector, about.norm, site, about.pooling, about.sign, about.trained_on, about.name
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Subspace:
    """An orthonormal basis at a site, strongest direction first.

    Attributes:
        basis: ``[k, d]``, float32, rows orthonormal.
        singular_values: of the rows it was made from, one per basis row, descending.
        site, pooling, sign, trained_on, name: as in `Direction`.
    """

    basis: Float[Tensor, "k d"]
    singular_values: tuple[float, ...]
    site: Site
    pooling: str = "none"
    sign: str = TOWARDS_BEHAVIOUR
    trained_on: str = ""
    name: str = "subspace"

    __repr__ = one_line

    def __len__(self) -> int:
        return self.basis.shape[0]

    def direction(self, index: int = 0) -> Direction:
        """One basis vector as a direction (norm 1).

        Raises:
            DataError: if there is no such basis vector.
        """
        if not -len(self) <= index < len(self):
            raise DataError(
                f"{self.name!r} has {len(self)} directions, and number {index} was asked for.",
                hint=f"Use 0 to {len(self) - 1}.",
            )
        index %= len(self)
        return Direction(
            self.basis[index],
            1.0,
            self.site,
            self.pooling,
            self.sign,
            self.trained_on,
            f"{self.name}[{index}]",
        )

    def first(self, k: int) -> Subspace:
        """The subspace of the ``k`` strongest directions."""
        return dataclasses.replace(
            self, basis=self.basis[:k], singular_values=self.singular_values[:k]
        )

    def save(self, folder: str | Path) -> None:
        """Write ``subspace.safetensors`` and ``subspace.json`` into a folder."""
        about = _About(
            self.name,
            str(self.site),
            self.pooling,
            self.sign,
            self.trained_on,
            singular_values=self.singular_values,
        )
        save_artefact(folder, "subspace", about, {"basis": self.basis})

    @classmethod
    def load(cls, folder: str | Path) -> Subspace:
        """Read a saved subspace back.

        Raises:
            CorruptArtefact: if it is damaged, altered, or not orthonormal.
        """
        about, tensors = load_artefact(folder, "subspace", _About)
        basis = _only(folder, "subspace", tensors, "basis", 2)
        if len(about.singular_values) != basis.shape[0]:
            raise corrupt(folder, "subspace", "as many singular values as basis rows are needed")
        if float((basis @ basis.T - torch.eye(basis.shape[0])).abs().max()) > 1e-3:
            raise corrupt(folder, "subspace", "the basis is not orthonormal")
        return cls(
            basis,
            about.singular_values,
            _site(folder, "subspace", about.site),
            about.pooling,
            about.sign,
            about.trained_on,
            about.name,
        )


def _only(
    folder: str | Path, kind: str, tensors: dict[str, Tensor], name: str, ndim: int
) -> Tensor:
    tensor = tensors.get(name)
    if set(tensors) != {name} or tensor is None:
        raise corrupt(folder, kind, f"it holds tensors {sorted(tensors)}, not {name!r} alone")
    if tensor.ndim != ndim or tensor.dtype != torch.float32 or not tensor.numel():
        raise corrupt(folder, kind, f"{name!r} is {tensor.dtype} of shape {tuple(tensor.shape)}")
    return tensor


def _site(folder: str | Path, kind: str, text: str) -> Site:
    try:
        return Site.parse(text)
    except SiteError as error:
        raise corrupt(folder, kind, f"{text!r} is no site") from error
