"""The AUROC of many units under many labellings, kept as counts, and what the counts say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import spearmanr

from bezoar.locate.expert_results import BINS, THRESHOLDS, Agreement, ShareAbove, Spread
from bezoar.models import Site
from bezoar.stats import null_p_value

_EDGES = np.arange(BINS + 1) / BINS


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """The units of one site on one set of texts; the true labels are the first labelling.

    Attributes:
        auroc: [d], under the true labels.
        counts: [labellings, bins + 1]: units at 0, then in each bin, which holds its upper edge.
        best: [labellings], the highest AUROC of any unit.
    """

    auroc: Float64[np.ndarray, " d"]
    counts: Int64[np.ndarray, "labellings bins"]
    best: Float64[np.ndarray, " labellings"]

    @classmethod
    def empty(cls, d: int, labellings: int) -> Tally:
        """To be filled by `add`, every column once."""
        counts = np.zeros((labellings, BINS + 1), np.int64)
        return cls(np.empty(d), counts, np.zeros(labellings))

    def add(self, columns: slice, values: Float64[np.ndarray, "k labellings"]) -> None:
        """Count the units of a block of columns."""
        self.auroc[columns] = values[:, 0]
        bins = np.searchsorted(_EDGES, values, side="left")
        flat = (bins + (BINS + 1) * np.arange(values.shape[1])).ravel()
        self.counts[:] += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        np.maximum(self.best, values.max(axis=0), out=self.best)


def spread(tallies: dict[Site, Tally], labels: np.ndarray) -> Spread:
    """The units of all sites together. A share under a shuffle is of all of them, shuffled once."""
    every = list(tallies.values())
    values = np.concatenate([tally.auroc for tally in every])
    counts = np.sum([tally.counts for tally in every], axis=0)
    best = np.max([tally.best for tally in every], axis=0)
    above = 1 - counts.cumsum(axis=1) / len(values)  # [labellings edges]
    low, high = np.quantile(above[1:], (0.025, 0.975), axis=0)
    band = np.stack([low, above[1:].mean(axis=0), high])
    site, index = _place(tallies, int(values.argmax()))
    inside = counts[0, 1:].copy()
    inside[0] += counts[0, 0]
    return Spread(
        texts=len(labels),
        positives=int(labels.sum()),
        units=len(values),
        mean=float(values.mean()),
        median=float(np.median(values)),
        counts=tuple(inside.tolist()),
        above=tuple(above[0].tolist()),
        null_low=tuple(band[0].tolist()),
        null_mean=tuple(band[1].tolist()),
        null_high=tuple(band[2].tolist()),
        shares=tuple(_share(round(t * BINS), above, band) for t in THRESHOLDS),
        best_site=str(site),
        best_index=index,
        best=float(best[0]),
        best_null=tuple(best[1:].tolist()),
        best_p=null_p_value(float(best[0]), best[1:]),
    )


def agreement(of: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]], top: int) -> Agreement:
    """How alike the AUROC [units] of two sets of texts are, over several pairs of sets."""
    units = len(pairs[0][0])
    top = min(top, units)
    ranks = [correlation(a, b) for a, b in pairs]
    overlaps = [len(np.intersect1d(_best(a, top), _best(b, top))) / top for a, b in pairs]
    return Agreement(
        of=of,
        rank_correlation=float(np.mean(ranks)),
        rank_low=min(ranks),
        rank_high=max(ranks),
        top=top,
        overlap=float(np.mean(overlaps)),
        overlap_low=min(overlaps),
        overlap_high=max(overlaps),
        chance=top / units,
        draws=len(pairs),
    )


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; 0 where one of both is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)


def _share(edge: int, above: np.ndarray, band: np.ndarray) -> ShareAbove:
    low, mean, high = band[:, edge].tolist()
    p = null_p_value(float(above[0, edge]), above[1:, edge])
    return ShareAbove(edge / BINS, float(above[0, edge]), low, mean, high, p)


def _best(values: np.ndarray, top: int) -> np.ndarray:
    return np.argsort(-values, kind="stable")[:top]


def _place(tallies: dict[Site, Tally], at: int) -> tuple[Site, int]:
    for site, tally in tallies.items():
        if at < len(tally.auroc):
            return site, at
        at -= len(tally.auroc)
    raise IndexError(at)
