"""What the sources of a shift would have come to, had other prompts been drawn.

The shift δ_x and the mean coefficients are averages over prompts, and every share and sum that is
made of them depends on which prompts these were. Prompts are resampled whole, for both at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from bezoar.stats.bootstrap import percentile_bounds, resample_counts
from bezoar.stats.intervals import Interval

GROUPS = 256
"""Sums are kept for so many prompts; of more, by so many groups of them, resampled as wholes."""
_AT_ONCE = 250  # resamples of the coefficients of a layer


@dataclass(slots=True)
class Sums:
    """Sums of states over positions, and how many positions there were, by group of prompts."""

    states: Float64[Tensor, "groups d"]
    positions: Float64[Tensor, " groups"]

    def mean(self) -> Float64[Tensor, " d"]:
        """Over all positions."""
        return self.states.sum(0) / self.positions.sum()


class Draws:
    """Resamples of one shift, to which the earlier layers are added one after another.

    Args:
        before, after: the state that shifts, on the same prompts.
        rounded: whether cosines are rounded to two decimals, as in mode "code".
        resamples, seed: of the percentile bootstrap by prompt; of no resamples no interval.
    """

    def __init__(
        self, before: Sums, after: Sums, *, rounded: bool, resamples: int, seed: int
    ) -> None:
        groups = len(after.positions)
        drawn = [*resample_counts(groups, resamples, seed)] if groups > 1 and resamples else []
        self._counts = torch.from_numpy(np.concatenate(drawn)) if drawn else torch.empty(0, groups)
        self._counts = self._counts.double()
        self._positions = self._counts @ after.positions
        self._moved = after.states - before.states
        self._norms = (self._counts @ self._moved).norm(dim=1) / self._positions
        self._rounded = rounded
        zeros = torch.zeros(len(self._counts), dtype=torch.float64)
        self._against, self._negative, self._along = zeros.clone(), zeros.clone(), zeros.clone()

    def add(self, moves: Float64[Tensor, "d_mlp d_model"], coefficients: Sums) -> None:
        """Count a layer: how its value vectors moved, and their neurons' coefficients."""
        sizes = moves.norm(dim=1)
        pushes = self._moved @ moves.T  # [groups d_mlp], of which a resample's δ·δ_v are made
        for rows in torch.arange(len(self._counts)).split(_AT_ONCE):
            counts, positions = self._counts[rows], self._positions[rows, None]
            norms = self._norms[rows, None].clamp_min(torch.finfo(torch.float64).tiny)
            along = counts @ pushes / positions / norms
            cosine = along[:, sizes > 0] / sizes[sizes > 0]
            if self._rounded:
                cosine = (100 * cosine).round()
            mean = counts @ coefficients.states / positions
            self._against[rows] += (cosine < 0).double().sum(1)
            self._negative[rows] += (mean < 0).double().mean(1)
            self._along[rows] += (mean * along).sum(1)

    def opposing(self, value: float, moved: int) -> Interval | None:
        """Of a share of so many value vectors that moved."""
        return self._interval(value, self._against / moved)

    def negative(self, value: float, layers: int) -> Interval | None:
        """Of a share of neurons, mean over so many layers."""
        return self._interval(value, self._negative / layers)

    def along(self, value: float) -> Interval | None:
        """Of Σ ā (δ_v · δ̂_x) / ‖δ_x‖ over the layers."""
        whole = self._norms > 0
        return self._interval(value, self._along[whole] / self._norms[whole])

    def _interval(self, value: float, samples: Float64[Tensor, " resamples"]) -> Interval | None:
        """Percentile bounds, made wide enough to hold the value.

        A resample has the noise of its prompts twice, which brings shares of signs nearer to one
        half and averages nearer to nothing: the bounds err against a claim that there is more.
        """
        if not len(samples):
            return None
        low, high = percentile_bounds(samples.numpy(), 0.95)
        return Interval(value, min(low, value), max(high, value))
