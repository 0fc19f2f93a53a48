"""The SVD basis of the value vectors nearest to a direction, and how it depends on their number.

Lee et al. 2024, section 3.2: the N top value vectors, each of unit norm, are stacked and their
singular vectors ``SVD.U_toxic[i]`` used as directions. The paper says N = 128, its evaluation takes
512; `n_sweep` shows how much that choice matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from rich.table import Table
from scipy.linalg import subspace_angles
from torch import Tensor

from bezoar.errors import ConfigError
from bezoar.locate.direction import Direction, Subspace
from bezoar.locate.values import Mode, ValueRanking, rank_values
from bezoar.models import LanguageModel
from bezoar.runs.results import Result


def value_svd(
    lm: LanguageModel, ranking: ValueRanking, n: int | None = None, *, direction: Direction
) -> Subspace:
    """Right singular vectors of the ``[n d_model]`` matrix of unit-norm top value vectors.

    Args:
        lm: the model that was ranked.
        ranking: its value vectors, nearest first.
        n: how many to stack; all that are ranked if None.
        direction: fixes the signs: a singular vector's is arbitrary, and "subtract 100 u₀" would
            flip its meaning with it. Here ``cos(u_i, direction) ≥ 0``.

    Returns:
        Basis of rank min(n, d_model) at the direction's site, with its singular values
        (``Σ s² = n``).

    Raises:
        ConfigError: if ``n`` is below 1 or above what was ranked.
    """
    n = len(ranking) if n is None else n
    if not 1 <= n <= len(ranking):
        raise ConfigError(
            f"{n} value vectors were asked for, and {len(ranking)} are ranked.",
            hint=f"Rank more with rank_values(top={n}), or ask for fewer.",
        )
    return _svd(ranking.vectors(lm)[:n], direction, f"value SVD of {n}")


def unit_rows_svd(rows: Float[Tensor, "n d"]) -> tuple[np.ndarray, np.ndarray]:
    """Right singular vectors [k d] and singular values [k] of rows scaled to norm 1."""
    wide = rows.double().numpy()
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    _, s, vt = np.linalg.svd(wide / np.maximum(norms, 1e-300), full_matrices=False)
    keep = s > 1e-6 * s[0]  # repeated rows leave axes of rounding, which mean nothing
    return vt[keep], s[keep]


def _svd(rows: Float[Tensor, "n d"], direction: Direction, name: str) -> Subspace:
    basis, s = unit_rows_svd(rows)
    along = basis @ direction.vector.double().numpy()
    largest = basis[np.arange(len(basis)), np.abs(basis).argmax(axis=1)]
    # Orthogonal to the direction, its sign is still arbitrary: the largest entry decides.
    sign = np.sign(np.where(np.abs(along) > 1e-9, along, largest))
    return Subspace(
        torch.from_numpy(basis * sign[:, None]).float(),
        tuple(s.tolist()),
        direction.site,
        pooling=direction.pooling,
        trained_on=direction.trained_on,
        name=name,
    )


def principal_angles(a: Float[Tensor, "k d"], b: Float[Tensor, "j d"]) -> tuple[float, ...]:
    """Angles in degrees between two subspaces given by rows that span them, smallest first."""
    radians = subspace_angles(a.double().numpy().T, b.double().numpy().T)
    return tuple(np.rad2deg(radians[::-1]).tolist())


@dataclass(frozen=True, slots=True)
class NSweepPoint(Result):
    """The SVD of the top ``n`` value vectors.

    Attributes:
        n: how many.
        least_cosine: to the direction, of the last one that entered.
        first_cosine: of the first singular vector to the direction.
        first_share: ``s₀² / n``, the share of the unit vectors' energy on it.
        angles: principal angles (degrees) between this top-k subspace and that of the next ``n``;
            empty for the last.
    """

    n: int
    least_cosine: float
    first_cosine: float
    first_share: float
    angles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NSweep(Result):
    """How the subspace of the top value vectors turns as more of them are taken."""

    points: tuple[NSweepPoint, ...]
    k: int
    direction: str

    def __rich__(self) -> Table:
        title = f"top-{self.k} SVD subspaces of the value vectors nearest to {self.direction}"
        table = Table("n", "least cosine", "cos(u₀, w)", "s₀²/n", "angles to the next", title=title)
        for p in self.points:
            angles = " ".join(f"{a:.0f}°" for a in p.angles)
            numbers = (f"{x:.3f}" for x in (p.least_cosine, p.first_cosine, p.first_share))
            table.add_row(str(p.n), *numbers, angles)
        return table


def n_sweep(
    lm: LanguageModel,
    direction: Direction,
    sizes: Sequence[int] = (32, 64, 128, 256, 512),
    *,
    k: int = 3,
    mode: Mode = "correct",
) -> NSweep:
    """Compare the top-k SVD subspaces of the N top value vectors as N grows.

    Args:
        lm: the model.
        direction: what values are ranked by.
        sizes: of N, rising; those beyond the number of value vectors are left out.
        k: dimension of the compared subspaces.
        mode: as in `rank_values`.

    Raises:
        ConfigError: if no size has room for ``k`` directions.
    """
    ranking = rank_values(lm, direction, max(sizes), mode=mode)
    usable = [n for n in sorted(sizes) if k <= n <= len(ranking)]
    if not usable or k < 1:
        raise ConfigError(
            f"No size of {tuple(sizes)} is between k={k} and {len(ranking)} value vectors.",
            hint="Give sizes of at least k, and k of at least 1.",
        )
    rows = ranking.vectors(lm)
    spaces = [_svd(rows[:n], direction, f"value SVD of {n}") for n in usable]
    points = []
    for i, (n, space) in enumerate(zip(usable, spaces, strict=True)):
        following = spaces[i + 1].first(k).basis if i + 1 < len(spaces) else None
        angles = () if following is None else principal_angles(space.first(k).basis, following)
        first_cosine = space.direction(0).cosine(direction)
        share = space.singular_values[0] ** 2 / n
        points.append(NSweepPoint(n, ranking.entries[n - 1].cosine, first_cosine, share, angles))
    return NSweep(tuple(points), k, direction.name)
