"""Linear discriminants of many labellings of the same rows: ``w = Σ⁻¹(μ₁ − μ₀)``.

Σ is the pooled within-class covariance of features scaled to unit deviation within the classes,
shrunk towards a multiple of the identity by the share of Ledoit & Wolf (2004). All of that share
are functions of the rows' lengths and of the covariance's eigenvalues, and the inverse is a product
with its axes, so the cost is that of the thinner side of [n d].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Shaped

from bezoar.locate.logistic import PrincipalRows

_RANK_TOLERANCE = 1e-6  # of the largest eigenvalue: below, an axis carries float32 rounding only


@dataclass(frozen=True, slots=True)
class ShrunkCovariance:
    """``(1 − s) S + s μ I`` on the axes of S, of features divided by ``scale``.

    Attributes:
        axes: [d r] orthonormal axes of S.
        values: [r] eigenvalues of S.
        scale: [d] what the raw features were divided by.
        share: s.
        level: μ, the mean eigenvalue over all d axes.
    """

    axes: Float64[np.ndarray, "d r"]
    values: Float64[np.ndarray, " r"]
    scale: Float64[np.ndarray, " d"]
    share: float
    level: float

    @classmethod
    def within(
        cls, X: Float64[np.ndarray, "n d"], y: np.ndarray, share: float | None
    ) -> ShrunkCovariance:
        """Of the rows' deviations from their class mean; ``share`` None is Ledoit and Wolf's."""
        means = class_means(X, y[None].astype(np.float64))
        rows = PrincipalRows.of(X - means[0][y], standardise=True, centre=False)
        d, values = X.shape[1], rows.curvature
        level = float(values.sum()) / d
        if share is None:
            share = _ledoit_wolf(rows.rows, values, d)
        return cls(*_spanned(rows), rows.scale, share, level)

    def of_total(self, X: Float64[np.ndarray, "n d"]) -> ShrunkCovariance:
        """The same with the total covariance in the place of S.

        Within-class and total covariance differ by a multiple of ``Δ Δᵀ``, which changes the length
        of ``Σ⁻¹ Δ`` and not its direction (Sherman & Morrison 1950). So one factor serves every
        labelling of the same rows.
        """
        rows = PrincipalRows.of((X - X.mean(axis=0)) / self.scale, standardise=False, centre=False)
        return ShrunkCovariance(*_spanned(rows), self.scale, self.share, self.level)

    def solve(self, raw: Float64[np.ndarray, "k d"]) -> Float64[np.ndarray, "k d"]:
        """``Σ⁻¹`` of raw differences, as weights for raw features; a pseudo-inverse at s = 0."""
        scaled = raw / self.scale
        on_axes = scaled @ self.axes
        rest = scaled - on_axes @ self.axes.T
        floor = self.share * self.level
        inside = on_axes / ((1 - self.share) * self.values + floor) @ self.axes.T
        outside = rest / floor if floor > 0 else rest if not self.values.size else 0.0
        found: np.ndarray = (inside + outside) / self.scale
        return found


def _spanned(rows: PrincipalRows) -> tuple[np.ndarray, np.ndarray]:
    """The axes that carry more than rounding, and the eigenvalues along them."""
    kept = rows.curvature > _RANK_TOLERANCE * max(float(rows.curvature.max(initial=0.0)), 1e-300)
    return rows.axes[:, kept], rows.curvature[kept]


def class_means(
    X: Float64[np.ndarray, "n d"], labels: Float64[np.ndarray, "draws n"]
) -> Float64[np.ndarray, "draws 2 d"]:
    """Means of the rows labelled 0 and 1, for each labelling."""
    sides = np.stack((1 - labels, labels), axis=1)
    found: np.ndarray = (sides / sides.sum(axis=2, keepdims=True)) @ X
    return found


def mean_differences(
    X: Float64[np.ndarray, "n d"], labels: Shaped[np.ndarray, "draws n"]
) -> Float64[np.ndarray, "draws d"]:
    """``μ₁ − μ₀`` for each labelling."""
    means = class_means(X, labels.astype(np.float64))
    return means[:, 1] - means[:, 0]


def _ledoit_wolf(
    rows: Float[np.ndarray, "n d_raw"], values: Float64[np.ndarray, " r"], d: int
) -> float:
    """Their equation 14: the share of the identity with the least expected squared error."""
    trace, square = float(values.sum()), float((values**2).sum())
    distance = square - trace**2 / d
    error = (float(((rows**2).sum(axis=1) ** 2).mean()) - square) / len(rows)
    return 0.0 if error <= 0 else 1.0 if error >= distance else error / distance
