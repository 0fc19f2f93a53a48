"""Batches under a budget of padded tokens.

A batch costs rows × its longest row. Texts are sorted by length within windows of consecutive
rows, longest first, so that rows of a batch are of nearly one length and hardly anything is
computed on padding; a batch takes as many rows as the budget permits, unless they would be much
shorter. The longest batch comes first, where too little memory shows at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, Int64

from bezoar.errors import ConfigError, DataError

WINDOW = 16_384
"""Texts that are sorted together. Larger wins nothing more; smaller keeps rows nearer to order."""
PADDING = 1 / 32
"""Share of the budget that padding may take before a batch is closed: few texts differ much."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchPlan:
    """Which texts run together, in which order. Every text is in exactly one batch.

    Attributes:
        order: text numbers in the order in which they run.
        sizes: texts in each batch; batch k is a slice of ``order``.
        lengths: tokens of each text, by text number.
        starts: of these, how many are read but not kept; None for none.
    """

    order: Int64[np.ndarray, " texts"]
    sizes: Int64[np.ndarray, " batches"]
    lengths: Int64[np.ndarray, " texts"]
    starts: Int64[np.ndarray, " texts"] | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, batch: int) -> Int64[np.ndarray, " rows"]:
        stop = int(self.sizes[: batch + 1].sum())
        return self.order[stop - int(self.sizes[batch]) : stop]

    def __iter__(self) -> Iterator[Int64[np.ndarray, " rows"]]:
        return iter(np.split(self.order, np.cumsum(self.sizes)[:-1]))

    @property
    def kept(self) -> Int64[np.ndarray, " texts"]:
        """Tokens of each text that are kept."""
        return self.lengths if self.starts is None else self.lengths - self.starts

    @property
    def tokens(self) -> Int64[np.ndarray, " batches"]:
        """Tokens in each batch, without padding."""
        return np.add.reduceat(self.lengths[self.order], self._starts)

    @property
    def padded_tokens(self) -> Int64[np.ndarray, " batches"]:
        """Tokens computed for each batch: rows × longest row."""
        return np.maximum.reduceat(self.lengths[self.order], self._starts) * self.sizes

    @property
    def useful_share(self) -> float:
        """Tokens that are no padding, among those computed."""
        return float(self.lengths.sum() / self.padded_tokens.sum())

    def cost(self, batch: int) -> int:
        """Padded tokens of one batch."""
        texts = self[batch]
        return len(texts) * int(self.lengths[texts].max())

    def halved(self, first: int) -> BatchPlan:
        """The plan with every batch from ``first`` on cut in two; what ran before stays."""
        rest = self.sizes[first:]
        halves = np.stack([(rest + 1) // 2, rest // 2], axis=1).ravel()
        return replace(self, sizes=np.concatenate([self.sizes[:first], halves[halves > 0]]))

    @property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.sizes) - self.sizes


def plan_batches(
    lengths: Sequence[int] | Int[np.ndarray, " texts"],
    budget_tokens: int = 4096,
    *,
    max_rows: int | None = None,
    window: int = WINDOW,
) -> BatchPlan:
    """Plan batches of at most ``budget_tokens`` padded tokens; equal arguments, equal plan.

    Args:
        lengths: tokens of each text, at least one each.
        budget_tokens: rows × longest row of a batch stay within it. A single text that is longer
            runs alone.
        max_rows: and at most so many rows.
        window: texts sorted together.

    Raises:
        DataError: if there are no texts, or one has no token.
        ConfigError: if the budget, the rows or the window are not positive.
    """
    if min(budget_tokens, window, max_rows or 1) < 1:
        raise ConfigError(
            f"A budget of {budget_tokens} tokens, {max_rows} rows and a window of {window} texts.",
            hint="Each must be at least 1.",
        )
    tokens = np.asarray(lengths, dtype=np.int64)
    if tokens.ndim != 1 or len(tokens) == 0 or tokens.min() < 1:
        raise DataError("Batches need at least one text, and a token in each.")
    order: list[np.ndarray] = []
    sizes: list[int] = []
    for start in range(0, len(tokens), window):
        inside = tokens[start : start + window]
        by_length = np.argsort(-inside, kind="stable")
        order.append(start + by_length)
        sizes += _greedy(inside[by_length], budget_tokens, max_rows or len(tokens))
    return BatchPlan(np.concatenate(order), np.array(sizes, dtype=np.int64), tokens)


def _greedy(falling: np.ndarray, budget: int, max_rows: int) -> list[int]:
    sums = np.concatenate([[0], np.cumsum(falling)])
    sizes: list[int] = []
    at = 0
    while at < len(falling):
        width = int(falling[at])
        most = max(1, min(budget // width, max_rows, len(falling) - at))
        padding = width * np.arange(1, most + 1) - (sums[at + 1 : at + most + 1] - sums[at])
        rows = int(np.searchsorted(padding, budget * PADDING, side="right"))
        sizes.append(rows)
        at += rows
    return sizes
