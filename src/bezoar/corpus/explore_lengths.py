"""How long texts are: the histogram, the smooth curve over it, the box, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from bezoar.errors import DataError
from bezoar.runs.results import Result

BINS = 150
_GRID = 400
_CELLS = 4096


@dataclass(frozen=True, slots=True, repr=False)
class LengthDistribution(Result):
    """Lengths of some texts.

    Attributes:
        unit: characters or tokens.
        n: texts.
        mean, median, sd: the last one of all of them (divided by n).
        least, most: the range.
        edges, counts: histogram of bins as wide as each other, a whole number of units: bins of
            2.4 characters would hold two lengths here and three there.
        grid, density: Gaussian kernel estimate at points of the range; its bandwidth is Scott's,
            n^(−1/5) standard deviations. Empty where all lengths are equal.
        quartiles: first and third.
        fences: the farthest lengths within 1.5 times the quartiles' distance of them (Tukey).
        beyond: texts outside of the fences.
    """

    unit: str
    n: int
    mean: float
    median: float
    sd: float
    least: int
    most: int
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    grid: tuple[float, ...]
    density: tuple[float, ...]
    quartiles: tuple[float, float]
    fences: tuple[int, int]
    beyond: int

    @property
    def curve(self) -> tuple[float, ...]:
        """The density, scaled to the height of the histogram, as it is drawn over it."""
        top = max(self.density, default=0.0)
        return tuple(max(self.counts) * y / top for y in self.density) if top else ()


def describe_lengths(
    lengths: Sequence[int] | Int64[np.ndarray, " text"], unit: str = "characters"
) -> LengthDistribution:
    """Describe lengths of texts.

    Raises:
        DataError: if there is none.
    """
    n = np.asarray(lengths, dtype=np.int64)
    if not n.size:
        raise DataError("There is no text whose length could be described.", hint="Give some.")
    least, most = int(n.min()), int(n.max())
    step = -(-(most - least + 1) // BINS)
    bins = -(-(most - least + 1) // step)
    edges = least - 0.5 + step * np.arange(bins + 1)
    low, high = (float(q) for q in np.quantile(n, [0.25, 0.75]))
    reach = 1.5 * (high - low)
    inside = n[(n >= low - reach) & (n <= high + reach)]
    grid, density = _kernel_density(n)
    return LengthDistribution(
        unit=unit,
        n=len(n),
        mean=float(n.mean()),
        median=float(np.median(n)),
        sd=float(n.std()),
        least=least,
        most=most,
        edges=tuple(edges.tolist()),
        counts=tuple(np.histogram(n, bins=edges)[0].tolist()),
        grid=tuple(grid.tolist()),
        density=tuple(density.tolist()),
        quartiles=(low, high),
        fences=(int(inside.min()), int(inside.max())),
        beyond=len(n) - len(inside),
    )


def _kernel_density(
    n: Int64[np.ndarray, " text"],
) -> tuple[Float64[np.ndarray, " grid"], Float64[np.ndarray, " grid"]]:
    """Σ_i φ((x − n_i) / h) / (N h) on a grid, over the different lengths and how often each is."""
    if n.min() == n.max():
        return np.zeros(0), np.zeros(0)
    values, weights = np.unique(n, return_counts=True)
    if len(values) > _CELLS:  # of a book among tweets: its place to a four-thousandth will do
        weights, edges = np.histogram(n, bins=_CELLS)
        values = (edges[:-1] + edges[1:]) / 2
    h = len(n) ** -0.2 * n.std(ddof=1)
    grid = np.linspace(n.min(), n.max(), _GRID)
    kernel = np.exp(-0.5 * ((grid[:, None] - values[None, :]) / h) ** 2)
    return grid, kernel @ weights / (len(n) * h * np.sqrt(2 * np.pi))
