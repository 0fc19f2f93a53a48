"""L2-regularised logistic regression for many penalties and many labels of the same rows at once.

A probe is fitted for every penalty of a path, in every fold, and once more for every shuffled
labelling of its null. All of these share their rows, and so the eigendecomposition of the Gram
matrix. One quarter of it plus the penalty bounds the Hessian (Böhning & Lindsay 1988): in the
coordinates where that bound is the identity, L-BFGS needs some ten steps, each a single pass over
the rows. Rows are float32, which halves what a pass must read; sums are float64.

The objective of each column, over n rows, is ``mean log(1 + exp(−s z)) + ½ λ ‖w‖²`` with
``z = x·w + b`` and ``s = ±1``; scikit-learn's ``C`` is ``1 / (n λ)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from scipy.linalg import eigh
from scipy.special import expit

from bezoar.locate.lbfgs import minimise

_RANK_TOLERANCE = 1e-10  # of the largest eigenvalue: below, an axis carries rounding only
_BLOCK_BYTES = 2**20  # of rows that stay in the cache between their two products
_GRAM_ROWS = 8192  # whose products are summed in float32


@dataclass(frozen=True, slots=True)
class PrincipalRows:
    """Standardised rows, their principal axes, and the way back to the raw features.

    Attributes:
        rows: [n d].
        curvature: [r] mean square of the rows along each axis.
        axes: [d r] orthonormal. They span all rows; r is d, or less if there are fewer rows.
        mean: [d] what was subtracted from the raw features.
        scale: [d] what they were divided by.
    """

    rows: Float32[np.ndarray, "n d"]
    curvature: Float64[np.ndarray, " r"]
    axes: Float64[np.ndarray, "d r"]
    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]

    @classmethod
    def of(cls, X: np.ndarray, *, standardise: bool, centre: bool) -> PrincipalRows:
        """Centre and scale raw features [n d] as asked, and find their axes.

        Args:
            X: raw features.
            standardise: divide by the standard deviation (of a constant feature: by 1).
            centre: subtract the mean; leave it where the model has no intercept to absorb it.
        """
        n, d = X.shape
        mean, deviation = _moments(X)
        scale = deviation if standardise else np.ones(d)
        # A constant feature has a deviation of rounding size, which must not be blown up.
        scale[scale <= 1e-7 * np.abs(mean)] = 1.0
        mean = mean if centre else np.zeros(d)
        rows = np.empty((n, d), np.float32)
        origin, factor = mean.astype(X.dtype), (1 / scale).astype(X.dtype)
        for block in _blocks(n, X.itemsize * d):
            np.multiply(X[block] - origin, factor, out=rows[block], casting="same_kind")
        if d <= n:
            values, axes = eigh(_gram(rows), driver="evd", overwrite_a=True)
        else:  # the kernel trick: a regularised solution lies in the span of the rows
            full = rows.astype(np.float64)
            values, left = eigh(full @ full.T, driver="evd")
            keep = values > _RANK_TOLERANCE * max(float(values.max(initial=0.0)), 1e-300)
            values, axes = values[keep], full.T @ left[:, keep] / np.sqrt(values[keep])
        curvature = np.maximum(values, 0.0) / n
        return cls(rows, curvature, np.ascontiguousarray(axes), mean, scale)

    def to_raw(
        self, w: Float64[np.ndarray, "d k"], b: Float64[np.ndarray, " k"]
    ) -> tuple[Float64[np.ndarray, "k d"], Float64[np.ndarray, " k"]]:
        """Coefficients and intercepts for raw features: the same decisions, no transform needed."""
        coef = (w / self.scale[:, None]).T
        return coef, b - coef @ self.mean


def fit_logistic(
    rows: Float[np.ndarray, "n d"],
    labels: np.ndarray,
    penalties: np.ndarray,
    curvature: Float64[np.ndarray, " r"],
    axes: Float64[np.ndarray, "d r"] | None = None,
    *,
    part: Int[np.ndarray, " m"] | None = None,
    intercept: bool = True,
    tolerance: float = 1e-6,
    max_iter: int = 500,
) -> tuple[Float64[np.ndarray, "d k"], Float64[np.ndarray, " k"]]:
    """Fit k problems over the same rows jointly.

    Args:
        rows: features; products are taken in their dtype.
        labels: 0/1, [n k], or [n 1] if all columns share them; [m k] or [m 1] with ``part``.
        penalties: λ of each column, [k].
        curvature: [r] mean squares of the rows (or of a superset of them) along ``axes``.
        axes: orthonormal, spanning the rows; None if the features are such axes themselves.
        part: fit to these rows only, which are not copied.
        intercept: whether to fit b, which is not penalised.
        tolerance: on the gradient in preconditioned coordinates, where it is about 1 at most.
        max_iter: L-BFGS iterations.

    Returns:
        w [d k] and b [k].
    """
    (n, d), k = (len(labels), rows.shape[1]), len(penalties)
    scale = 1 / np.sqrt(curvature[:, None] / 4 + penalties)
    blocks = list(_blocks(n, rows.itemsize * d))

    def unpack(u: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = u[:-1] * scale[:, columns]
        return (w if axes is None else axes @ w), 2 * u[-1]

    def objective(u: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w, b = unpack(u, columns)
        narrow = w.astype(rows.dtype)
        loss = np.zeros(len(columns))
        gradient, gradient_b = np.zeros_like(w), np.zeros(len(columns))
        for block in blocks:
            x, y = rows[block if part is None else part[block]], labels[block]
            y = y if y.shape[1] == 1 else y[:, columns]
            z = x @ narrow + b
            loss += (np.logaddexp(0, z) - y * z).sum(axis=0)
            residual = expit(z) - y
            gradient_b += residual.sum(axis=0)
            gradient += x.T @ residual.astype(rows.dtype)
        if axes is not None:
            gradient = axes.T @ gradient
        shrunk = penalties[columns] * scale[:, columns] * u[:-1]
        loss = loss / n + 0.5 * (shrunk * scale[:, columns] * u[:-1]).sum(axis=0)
        gradient = (gradient / n + shrunk) * scale[:, columns]
        return loss, np.vstack([gradient, 2 * gradient_b / n if intercept else 0 * gradient_b])

    start = np.zeros((len(curvature) + 1, k))
    return unpack(minimise(objective, start, tolerance, max_iter), np.arange(k))


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


def _moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (rounded to the dtype of X, so that subtracting it is exact) and standard deviation."""
    n, d = X.shape
    total, squares = np.zeros(d), np.zeros(d)
    origin = X[:64].mean(axis=0)  # near the mean: Σ (x − o)² then loses nothing
    for block in _blocks(n, X.itemsize * d):
        x = X[block] - origin
        ones = np.ones(len(x), X.dtype)
        total += ones @ x
        squares += ones @ np.square(x, out=x)
    shift = total / n
    mean = (origin + shift).astype(X.dtype).astype(np.float64)
    return mean, np.sqrt(np.maximum(squares / n - shift**2, 0.0))


def _gram(rows: np.ndarray) -> np.ndarray:
    """Sums of products [d d] of all rows."""
    gram = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), _GRAM_ROWS):
        part = rows[start : start + _GRAM_ROWS]
        gram += part.T @ part
    return gram


def _blocks(n: int, row_bytes: int) -> Iterator[slice]:
    step = max(64, _BLOCK_BYTES // max(1, row_bytes))
    return (slice(start, start + step) for start in range(0, n, step))
