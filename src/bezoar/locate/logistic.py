"""L2-regularised logistic regression for many penalties and many labels of the same rows at once.

A probe is fitted for every penalty of a path, in every fold, and once more for every shuffled
labelling of its null. All of these share their rows, so the rows are turned once onto their
principal axes, where the Gram matrix is diagonal. One quarter of it plus the penalty bounds the
Hessian (Böhning & Lindsay 1988): a diagonal preconditioner with which a joint L-BFGS needs some
tens of steps, each two thin matrix products.

The objective of each column, over n rows, is ``mean log(1 + exp(−s z)) + ½ λ ‖w‖²`` with
``z = x·w + b`` and ``s = ±1``; scikit-learn's ``C`` is ``1 / (n λ)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import expit

_RANK_TOLERANCE = 1e-10  # of the largest eigenvalue: below, an axis carries rounding only


@dataclass(frozen=True, slots=True)
class PrincipalRows:
    """Standardised rows on their principal axes, and the way back to the raw features.

    Attributes:
        rows: [n r], r ≤ min(n, d).
        curvature: [r] mean square of each column of ``rows``.
        axes: [d r] orthonormal; standardised row = row · axesᵀ.
        mean: [d] what was subtracted from the raw features.
        scale: [d] what they were divided by.
    """

    rows: Float64[np.ndarray, "n r"]
    curvature: Float64[np.ndarray, " r"]
    axes: Float64[np.ndarray, "d r"]
    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]

    @classmethod
    def of(cls, X: np.ndarray, *, standardise: bool, centre: bool) -> PrincipalRows:
        """Centre and scale raw features [n d] as asked, and rotate them.

        Args:
            X: raw features.
            standardise: divide by the standard deviation (of a constant feature: by 1).
            centre: subtract the mean; leave it where the model has no intercept to absorb it.
        """
        X = X.astype(np.float64)
        mean = X.mean(axis=0) if centre else np.zeros(X.shape[1])
        scale = X.std(axis=0) if standardise else np.ones(X.shape[1])
        # A constant feature has a deviation of rounding size, which must not be blown up.
        scale[scale <= 1e-7 * np.abs(X).max(axis=0, initial=0.0)] = 1.0
        X -= mean
        X /= scale
        n, d = X.shape
        if d <= n:
            values, axes = eigh(X.T @ X)
        else:  # the kernel trick: a regularised solution lies in the span of the rows
            values, left = eigh(X @ X.T)
            axes = X.T @ left / np.sqrt(np.maximum(values, np.finfo(float).tiny))
        keep = values > _RANK_TOLERANCE * max(float(values.max(initial=0.0)), 1e-300)
        axes = np.ascontiguousarray(axes[:, keep])
        return cls(X @ axes, values[keep] / n, axes, mean, scale)

    def to_raw(
        self, w: Float64[np.ndarray, "r k"], b: Float64[np.ndarray, " k"]
    ) -> tuple[Float64[np.ndarray, "k d"], Float64[np.ndarray, " k"]]:
        """Coefficients and intercepts for raw features: the same decisions, no transform needed."""
        coef = (self.axes @ w / self.scale[:, None]).T
        return coef, b - coef @ self.mean


def fit_logistic(
    rows: Float64[np.ndarray, "n r"],
    labels: np.ndarray,
    penalties: np.ndarray,
    curvature: Float64[np.ndarray, " r"],
    *,
    intercept: bool = True,
    tolerance: float = 1e-6,
    max_iter: int = 500,
) -> tuple[Float64[np.ndarray, "r k"], Float64[np.ndarray, " k"]]:
    """Fit k problems over the same rows jointly.

    Args:
        rows: features, near their principal axes.
        labels: 0/1, [n k], or [n 1] if all columns share them.
        penalties: λ of each column, [k].
        curvature: [r] mean squares of the columns of ``rows`` (or of a superset of its rows).
        intercept: whether to fit b, which is not penalised.
        tolerance: on the gradient in preconditioned coordinates, where it is about 1 at most.
        max_iter: L-BFGS iterations.

    Returns:
        w [r k] and b [k].
    """
    (n, r), k = rows.shape, len(penalties)
    scale = 1 / np.sqrt(curvature[:, None] / 4 + penalties)

    def unpack(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return u[: r * k].reshape(r, k) * scale, 2 * u[r * k :]

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = unpack(u)
        z = rows @ w + b
        loss = (np.logaddexp(0, z) - labels * z).sum() / n + 0.5 * (penalties * w**2).sum()
        residual = (expit(z) - labels) / n
        gradient_w = (rows.T @ residual + penalties * w) * scale
        gradient_b = 2 * residual.sum(axis=0) if intercept else np.zeros(k)
        return float(loss), np.concatenate([gradient_w.ravel(), gradient_b])

    options = {"maxiter": max_iter, "gtol": tolerance, "ftol": 1e-15, "maxcor": 20}
    found = minimize(objective, np.zeros(r * k + k), jac=True, method="L-BFGS-B", options=options)
    return unpack(found.x)


def platt(
    decisions: Float64[np.ndarray, " n"], labels: np.ndarray, *, intercept: bool = True
) -> tuple[float, float]:
    """Slope and shift that turn held-out decisions into log-odds (Platt 1999).

    The slope is kept positive: calibration may flatten a useless probe, not turn it round.
    """
    spread = float(decisions.std()) or 1.0
    column = (decisions / spread)[:, None]
    curvature = (column**2).mean(axis=0)
    w, b = fit_logistic(column, labels[:, None], np.array([1e-6]), curvature, intercept=intercept)
    slope = float(w[0, 0]) / spread
    if slope > 0:
        return slope, float(b[0])
    rate = float(np.clip(labels.mean(), 1e-6, 1 - 1e-6))
    return 1e-6 / spread, float(np.log(rate / (1 - rate))) if intercept else 0.0
