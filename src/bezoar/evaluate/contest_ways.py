"""Ways to read a table: all features, the best few, the difference of means.

Each fits any labels of any texts for all penalties at once, which is all that folds, learning
curves, wrong labels and sources left out need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float64, Int
from scipy.sparse import csr_array

from bezoar.evaluate.contest_tables import DenseTable, Rows, Table

Labels = np.ndarray
"""0/1, [texts draws]."""


class Way(ABC):
    """One way to read a table.

    Attributes:
        kind: its name.
        table: what it reads.
        chooses: whether there is a penalty to choose.
    """

    chooses: bool = True

    def __init__(self, kind: str, table: Table) -> None:
        self.kind = kind
        self.table = table

    @abstractmethod
    def weights(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Labels,
        penalties: Float64[np.ndarray, " p"],
        *,
        final: bool = False,
    ) -> tuple[Float64[np.ndarray, "d k p"], Float64[np.ndarray, "k p"]]:
        """Weights of the scaled features, and intercepts, of every labelling and penalty."""

    def decide(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Labels,
        penalties: Float64[np.ndarray, " p"],
        test: Int[np.ndarray, " n"],
        *,
        final: bool = False,
    ) -> Float64[np.ndarray, "n k p"]:
        """Decisions on other texts after training on these."""
        w, b = self.weights(texts, labels, penalties, final=final)
        d, k, p = w.shape
        flat = w.reshape(d, k * p)
        used = np.flatnonzero(np.abs(flat).max(axis=1))
        rows = self.table.take(test)
        if len(used) < d:
            rows, flat = rows[:, used], flat[used]
        z = np.asarray(rows @ flat.astype(np.float32), dtype=np.float64)
        return z.reshape(len(test), k, p) + b


class EveryFeature(Way):
    """Logistic regression on all of them."""

    def weights(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Labels,
        penalties: Float64[np.ndarray, " p"],
        *,
        final: bool = False,
    ) -> tuple[Float64[np.ndarray, "d k p"], Float64[np.ndarray, "k p"]]:
        k, p = labels.shape[1], len(penalties)
        columns = labels if k == 1 else np.repeat(labels, p, axis=1)
        w, b = self.table.fit(texts, columns, np.tile(penalties, k), final=final)
        return w.reshape(-1, k, p), b.reshape(k, p)


class FewFeatures(Way):
    """Logistic regression on k features, which the same training texts choose.

    By orthogonal matching pursuit on the labels (Pati et al. 1993): each feature is the one that
    explains most of what those before it left over, so that the k of a smaller reader are the first
    of a larger one's, and no two say the same.

    Args:
        table: what is read.
        k: features.
        orders: what was chosen before from the same table, shared between sizes.
        most: the largest size that shares it.
    """

    def __init__(
        self, table: Table, k: int, orders: dict[tuple[bytes, bytes], list[int]], most: int
    ) -> None:
        super().__init__(f"k={k}", table)
        self.k, self._orders, self._most = min(k, table.d), orders, min(most, table.d)

    def features(self, texts: Int[np.ndarray, " m"], labels: np.ndarray) -> list[int]:
        """The k that these texts and labels choose, the strongest first."""
        key = (texts.tobytes(), labels.astype(np.int8).tobytes())
        if key not in self._orders:
            self._orders[key] = pursued(self.table.take(texts), labels, self._most)
        return self._orders[key][: self.k]

    def weights(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Labels,
        penalties: Float64[np.ndarray, " p"],
        *,
        final: bool = False,
    ) -> tuple[Float64[np.ndarray, "d k p"], Float64[np.ndarray, "k p"]]:
        k, p = labels.shape[1], len(penalties)
        w, b = np.zeros((self.table.d, k, p)), np.zeros((k, p))
        rows = self.table.take(texts)
        for column in range(k):
            chosen = self.features(texts, labels[:, column])
            few = _dense(rows[:, chosen])
            table = DenseTable.of(few, np.arange(len(few)))
            found, shift = table.fit(
                np.arange(len(few)), labels[:, [column]], penalties, final=final
            )
            raw = found / table.scale[:, None]
            w[chosen, column] = raw
            b[column] = shift - few.mean(axis=0, dtype=np.float64) @ raw
        return w, b


class MeanDifference(Way):
    """The difference of the class means of the raw features, the boundary half-way."""

    chooses = False

    def weights(
        self,
        texts: Int[np.ndarray, " m"],
        labels: Labels,
        penalties: Float64[np.ndarray, " p"],
        *,
        final: bool = False,
    ) -> tuple[Float64[np.ndarray, "d k p"], Float64[np.ndarray, "k p"]]:
        rows, y = self.table.take(texts), labels.astype(np.float32)
        positive = np.asarray(rows.T @ (y / y.sum(axis=0)), dtype=np.float64)
        negative = np.asarray(rows.T @ ((1 - y) / (1 - y).sum(axis=0)), dtype=np.float64)
        w = (positive - negative) * self.table.scale[:, None] ** 2
        b = -(w * (positive + negative)).sum(axis=0) / 2
        return np.repeat(w[:, :, None], len(penalties), 2), np.repeat(b[:, None], len(penalties), 1)


def pursued(rows: Rows, labels: np.ndarray, k: int) -> list[int]:
    """Features by orthogonal matching pursuit of the labels, the strongest first.

    Args:
        rows: [texts d] of equal deviation; a mean does not matter.
        labels: 0/1, [texts].
        k: how many; no more are found than there are features that vary.
    """
    y = labels - labels.mean(dtype=np.float64)
    residual, chosen = y, list[int]()
    basis = np.empty((len(y), 0))
    for _ in range(k):
        fit = np.abs(np.asarray(rows.T @ residual.astype(np.float32)))
        fit[chosen] = -1.0
        chosen.append(int(fit.argmax()))
        new = _dense(rows[:, chosen[-1:]])[:, 0].astype(np.float64)
        new -= new.mean()
        for _twice in range(2):  # Gram-Schmidt loses digits, and finds them again
            new -= basis @ (basis.T @ new)
        size = float(np.linalg.norm(new))
        if size > 1e-6 * np.sqrt(len(y)):
            basis = np.column_stack([basis, new / size])
            residual = y - basis @ (basis.T @ y)
    return chosen


def _dense(rows: Rows) -> np.ndarray:
    return rows.toarray() if isinstance(rows, csr_array) else rows
