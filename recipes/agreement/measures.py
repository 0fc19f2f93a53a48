"""What is measured: agreement of scores and of verdicts, calibration, shares, unintended bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from bezoar.errors import DataError
from bezoar.stats import Interval, auroc_interval, bootstrap_samples, calibration_error

RESAMPLES = 2000
BINS = 10  # of reliability curves and their expected calibration error


def share(hits: np.ndarray) -> Interval:
    """The share of True with Wilson's (1927) score interval, which holds at 0 and 1 too."""
    n, z = len(hits), float(norm.ppf(0.975))
    if n == 0:
        raise DataError("A share of no rows was asked for.", hint="Give at least one.")
    p = float(np.mean(hits))
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    return Interval(p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)))


def kappa(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Interval:
    """Cohen's (1960) κ = (observed − chance) / (1 − chance) of two verdicts, over texts."""
    cells = np.eye(4)[2 * a.astype(int) + b.astype(int)]  # [n 4]: no/no, no/yes, yes/no, yes/yes

    def of(counts: np.ndarray) -> np.ndarray:
        both = counts @ cells / counts.sum(axis=-1, keepdims=True)
        a_yes, b_yes = both[..., 2] + both[..., 3], both[..., 1] + both[..., 3]
        chance = a_yes * b_yes + (1 - a_yes) * (1 - b_yes)
        return (both[..., 0] + both[..., 3] - chance) / (1 - chance)

    with np.errstate(invalid="ignore", divide="ignore"):
        return _bootstrap(of, len(a), seed)


def spearman(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Interval:
    """Spearman's ρ, the correlation of mid-ranks; ranked anew in each resample of texts."""
    ranks = _MidRanks(a), _MidRanks(b)

    def of(counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=-1, keepdims=True)
        x, y = (rank(counts) for rank in ranks)
        x -= (counts * x).sum(axis=-1, keepdims=True) / total
        y -= (counts * y).sum(axis=-1, keepdims=True) / total
        covariance, *variances = (
            (counts * u * v).sum(axis=-1) for u, v in [(x, y), (x, x), (y, y)]
        )
        return covariance / np.sqrt(variances[0] * variances[1])

    return _bootstrap(of, len(a), seed)


def reliability(scores: np.ndarray, labels: np.ndarray) -> list[dict[str, object]]:
    """Per filled bin of equal width the mean score and the share of positives among its texts."""
    index = np.minimum((scores * BINS).astype(int), BINS - 1)
    return [
        {
            "n": int((index == k).sum()),
            "score": float(scores[index == k].mean()),
            "positive": share(labels[index == k]),
        }
        for k in range(BINS)
        if (index == k).any()
    ]


def calibration(scores: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, object]:
    """The reliability curve, its expected calibration error, and what chance alone would give.

    ``floor`` is the mean error were every score exactly right: labels drawn from the scores.
    """
    rng = np.random.default_rng(seed)
    drawn = [calibration_error(scores, rng.random(len(scores)) < scores, BINS) for _ in range(200)]
    return {
        "bins": reliability(scores, labels),
        "error": calibration_error(scores, labels, BINS),
        "floor": float(np.mean(drawn)),
        "mean_score": float(scores.mean()),
        "positive": share(labels),
    }


def bias_aurocs(
    scores: np.ndarray, toxic: np.ndarray, member: np.ndarray, groups: Sequence[str]
) -> dict[str, Interval]:
    """Borkan et al.'s (2019) three AUROCs of a subgroup, the rows where ``member`` is true.

    ``subgroup``: within it. ``bpsn``: background positive against subgroup negative; low when
    harmless texts of the subgroup are scored high. ``bnsp``: background negative against subgroup
    positive; low when toxic ones are scored low. Intervals are DeLong's, clustered by ``groups``.
    """
    kept = {
        "subgroup": member,
        "bpsn": np.where(member, ~toxic, toxic),
        "bnsp": np.where(member, toxic, ~toxic),
    }
    names = np.asarray(groups)
    return {
        name: auroc_interval(scores[rows], toxic[rows], names[rows]) for name, rows in kept.items()
    }


def power_mean(values: Sequence[float], p: float = -5.0) -> float:
    """``(mean vᵖ)^(1/p)``, at p = −5 drawn to the worst, as Jigsaw's bias challenge sums up."""
    return float(np.mean(np.asarray(values, dtype=float) ** p) ** (1 / p))


def density(a: np.ndarray, b: np.ndarray, bins: int = 25) -> list[list[int]]:
    """Texts in each cell of the unit square; rows are bins of ``b``, columns of ``a``."""
    edges = np.linspace(0, 1, bins + 1)
    return np.histogram2d(b, a, bins=(edges, edges))[0].astype(int).tolist()


def _bootstrap(statistic, n: int, seed: int) -> Interval:
    samples = bootstrap_samples(statistic, n, RESAMPLES, seed)
    if not np.isfinite(samples).all():
        raise DataError(
            "A resample holds a single score or verdict, so agreement has no meaning.",
            hint="Give more texts, of both kinds.",
        )
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(float(statistic(np.ones((1, n)))[0]), float(low), float(high))


class _MidRanks:
    """Mid-ranks of fixed values under weights [chunk n], sorted once."""

    def __init__(self, values: np.ndarray) -> None:
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        self.ends = np.append(np.flatnonzero(np.diff(ordered)), len(values) - 1)
        self.place = np.unique(values, return_inverse=True)[1]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        upto = np.cumsum(weights[:, self.order], axis=-1)[:, self.ends]
        tied = np.diff(upto, axis=-1, prepend=0)
        return (upto - tied / 2)[:, self.place]
