"""What readers are fitted on: rows of all texts, scaled once by the training texts.

Every fit of a contest on the same rows (each fold, each penalty, each draw of a learning curve,
each share of wrong labels) shares their scale and the axes that precondition it. Both know no
label.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from scipy.linalg import eigh
from scipy.sparse import csr_array, diags_array
from scipy.special import expit

from bezoar.errors import DataError
from bezoar.locate.lbfgs import minimise
from bezoar.locate.logistic import PrincipalRows, fit_logistic

Rows: TypeAlias = np.ndarray | csr_array
"""Features [texts d], dense or sparse."""

_WIDEST = 4096
"""Columns up to which sparse rows are made dense: beyond, their axes cost too much."""
_PATH_TOLERANCE = 1e-4  # enough to rank penalties
_SPARSE_TOLERANCE, _SPARSE_STEPS = 3e-3, 40  # likewise: no loss of a path moves by 0.01


class Table(ABC):
    """Rows that logistic readers are fitted to.

    Attributes:
        d: features.
        mean: [d] what was subtracted from the raw features.
        scale: [d] what they were divided by.
        path: (largest, least) penalty of the regularisation path.
    """

    d: int
    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]
    path: tuple[float, float]

    @abstractmethod
    def take(self, texts: Int[np.ndarray, " m"]) -> Rows:
        """Scaled rows of some texts."""

    @abstractmethod
    def fit(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Float[np.ndarray, "m k"] | Int[np.ndarray, "m k"],
        penalties: Float64[np.ndarray, " c"],
        *,
        final: bool = False,
    ) -> tuple[Float64[np.ndarray, "d c"], Float64[np.ndarray, " c"]]:
        """Weights and intercepts of scaled rows, one column a penalty.

        Args:
            texts: to fit to.
            labels: 0/1; one column for all penalties, or one each.
            penalties: on the squared norm.
            final: to the last digit, not only to rank penalties.
        """

    def raw(
        self, w: Float64[np.ndarray, " d"], b: float
    ) -> tuple[Float64[np.ndarray, " d"], float]:
        """Weights and intercept for raw features: the same decisions."""
        coef = w / self.scale
        return coef, float(b - coef @ self.mean)

    def grid(self, n: int) -> Float64[np.ndarray, " n"]:
        """``n`` penalties along the path, evenly on a logarithmic scale."""
        first, last = self.path
        return np.geomspace(first, last, n) if n > 1 else np.array([(first * last) ** 0.5])


@dataclass(frozen=True, slots=True, eq=False)
class DenseTable(Table):
    """Standardised rows with the principal axes of the training texts."""

    rows: Float32[np.ndarray, "n d"]
    curvature: Float64[np.ndarray, " r"]
    axes: Float64[np.ndarray, "d r"]
    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]
    d: int
    path: tuple[float, float] = (1.0, 1e-3)

    @classmethod
    def of(cls, raw: np.ndarray, train: Int[np.ndarray, " m"]) -> DenseTable:
        """Standardise all rows as the training texts are."""
        principal = PrincipalRows.of(raw[train], standardise=True, centre=True)
        rows = np.empty(raw.shape, np.float32)
        np.subtract(raw, principal.mean, out=rows, casting="same_kind")
        rows /= principal.scale.astype(np.float32)
        axes, scale = (principal.curvature, principal.axes), (principal.mean, principal.scale)
        return cls(rows, *axes, *scale, raw.shape[1])

    def take(self, texts: Int[np.ndarray, " m"]) -> Float32[np.ndarray, "m d"]:
        return self.rows[texts]

    def fit(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Float[np.ndarray, "m k"] | Int[np.ndarray, "m k"],
        penalties: Float64[np.ndarray, " c"],
        *,
        final: bool = False,
    ) -> tuple[Float64[np.ndarray, "d c"], Float64[np.ndarray, " c"]]:
        tolerance = 1e-6 if final else _PATH_TOLERANCE
        rows = self.rows[texts]
        if 2 * len(rows) >= self.d:
            given = (rows, labels, penalties, self.curvature, self.axes)
            return fit_logistic(*given, tolerance=tolerance)
        # The kernel trick: the solution lies in the span of these few rows.
        full = rows.astype(np.float64)
        values, left = eigh(full @ full.T)
        keep = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
        values, left = values[keep], left[:, keep]
        curvature = values / len(rows)
        u, b = fit_logistic(
            left * np.sqrt(values), labels, penalties, curvature, tolerance=tolerance
        )
        return full.T @ (left / np.sqrt(values) @ u), b


@dataclass(frozen=True, slots=True, eq=False)
class SparseTable(Table):
    """Rows that are mostly zeros, and stay so: scaled if asked for, not centred."""

    rows: csr_array
    curvature: Float64[np.ndarray, " d"]
    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]
    d: int
    path: tuple[float, float]

    @classmethod
    def of(cls, raw: csr_array, train: Int[np.ndarray, " m"], *, standardise: bool) -> SparseTable:
        """Divide columns by their deviation among the training texts (latents), or leave them as
        they are (words weighed already)."""
        part = raw[train].astype(np.float64)
        squares = np.asarray(part.multiply(part).mean(axis=0)).ravel()
        if not standardise:
            scale = np.ones(raw.shape[1])
            rows, path = csr_array(raw, dtype=np.float32), (1e-2, 3e-6)
        else:
            mean = np.asarray(part.mean(axis=0)).ravel()
            scale = np.sqrt(np.maximum(squares - mean**2, 0.0))
            scale[scale <= 1e-7 * np.abs(mean)] = 1.0  # of a constant column it is rounding
            rows, path = csr_array(raw @ diags_array(1 / scale), dtype=np.float32), (1.0, 1e-3)
        return cls(rows, squares / scale**2, np.zeros_like(scale), scale, raw.shape[1], path)

    def take(self, texts: Int[np.ndarray, " m"]) -> csr_array:
        return self.rows[texts]

    def fit(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Float[np.ndarray, "m k"] | Int[np.ndarray, "m k"],
        penalties: Float64[np.ndarray, " c"],
        *,
        final: bool = False,
    ) -> tuple[Float64[np.ndarray, "d c"], Float64[np.ndarray, " c"]]:
        rows, n = self.rows[texts], len(texts)
        used = np.unique(rows.indices)  # the others' weights are zero, and few texts use few
        rows = rows[:, used]
        across = csr_array(rows.T)
        scale = 1 / np.sqrt(self.curvature[used, None] / 4 + penalties)

        def objective(u: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            w = u[:-1] * scale[:, columns]
            z = rows @ w.astype(np.float32) + 2 * u[-1]
            y = labels if labels.shape[1] == 1 else labels[:, columns]
            residual = expit(z) - y
            shrunk = penalties[columns] * w
            loss = (np.logaddexp(0, z) - y * z).mean(axis=0) + 0.5 * (shrunk * w).sum(axis=0)
            slope = (across @ residual.astype(np.float32) / n + shrunk) * scale[:, columns]
            return loss, np.vstack([slope, 2 * residual.mean(axis=0)])

        start = np.zeros((len(used) + 1, len(penalties)))
        limits = (1e-5, 300) if final else (_SPARSE_TOLERANCE, _SPARSE_STEPS)
        u = minimise(objective, start, *limits)
        w = np.zeros((self.d, len(penalties)))
        w[used] = u[:-1] * scale
        return w, 2 * u[-1]


def table_of(rows: Rows, train: Int[np.ndarray, " m"], *, weighed: bool = False) -> Table:
    """The table for such rows.

    Args:
        rows: of all texts.
        train: texts whose mean and deviation count.
        weighed: sparse rows carry their weights already (TF-IDF), and stay as they are.

    Raises:
        DataError: if a feature is not finite, or there is none.
    """
    values = rows if isinstance(rows, np.ndarray) else rows.data
    if rows.ndim != 2 or not rows.shape[1] or not np.isfinite(values).all():
        raise DataError(
            f"Features of shape {rows.shape} are empty or not finite.",
            hint="Harvest again; a model in float16 may have overflowed.",
        )
    if isinstance(rows, np.ndarray):
        return DenseTable.of(rows, train)
    if weighed or rows.shape[1] > _WIDEST:
        return SparseTable.of(rows, train, standardise=not weighed)
    return DenseTable.of(rows.toarray(), train)
