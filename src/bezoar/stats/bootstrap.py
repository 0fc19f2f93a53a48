"""Bootstrap by prompt: what would the number be, had other prompts been drawn?

The unit that is resampled is the *prompt* (Efron 1979; Davison & Hinkley 1997, §2.4 for the
percentile interval, §3.8 for clusters): all samples of one prompt go in or out together, and in a
comparison both sides go together. A resample is a vector of multinomial counts, every statistic
here is a ratio of two sums, hence all resamples at once are one matrix product.

Equal ``(number of prompts, resamples, seed)`` give equal resamples, so that intervals of several
methods over the same prompts differ by the methods alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float64, Int, UInt8
from numpy.typing import ArrayLike

from bezoar.errors import DataError
from bezoar.stats.intervals import Interval

Groups = Sequence[object] | np.ndarray
"""One name of a cluster (a prompt) per row: integers or strings."""

_CHUNK = 2**21  # counts held as float64 at once: 16 MiB
_CACHED = 2**26  # counts worth remembering between calls (one byte each)


def mean_interval(
    values: ArrayLike,
    groups: Groups | None = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The (weighted) mean ``Σwx / Σw`` with its percentile interval.

    Args:
        values: one number a row.
        groups: the prompt of each row; None when every row is a prompt of its own.
        weights: positive weights, for example tokens of a window when ``values`` are mean NLLs.
        confidence: coverage of the interval.
        resamples: bootstrap resamples.
        seed: of the resamples.

    Raises:
        DataError: on NaN or infinite values, unequal lengths, or fewer than two prompts.
    """
    x = _finite("values", values)
    w = _weights(weights, len(x))
    return _ratio_interval(x * w, w, groups, confidence, resamples, seed)


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    groups: Groups | None = None,
    *,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """``mean(a) − mean(b)`` of rows that belong together, with its percentile interval.

    Resampling whole prompts keeps the pairing, so what all prompts share cancels. Arguments and
    errors are those of :func:`mean_interval`.
    """
    x, y = _finite("a", a), _finite("b", b)
    _same_length("a", x, "b", y)
    w = _weights(weights, len(x))
    return _ratio_interval((x - y) * w, w, groups, confidence, resamples, seed)


def paired_ratio(
    a: ArrayLike,
    b: ArrayLike,
    groups: Groups | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """``Σa / Σb`` of rows that belong together, with its percentile interval.

    It is defined if the denominator lies above zero beyond chance: if its own percentile interval,
    over the same resamples, does. The few resamples in which it is not positive are left out.

    Raises:
        DataError: also when the interval of the denominator reaches zero.
    """
    x, y = _finite("a", a), _finite("b", b)
    _same_length("a", x, "b", y)
    return _ratio_interval(x, y, groups, confidence, resamples, seed)


def pooled_null_difference(
    observed: Float[np.ndarray, " prompts"],
    draws: Float[np.ndarray, "draws _prompts"],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The observed mean minus the mean of its null draws, over prompts *and* draws.

    Both are resampled, independently of each other (the pigeonhole bootstrap, Owen 2007): the
    interval says what other prompts and other random directions would have given, which lets ten
    draws serve where a rank among them could not reach p < .05.

    Args:
        observed: one value a prompt.
        draws: the same measurement under each null draw, prompts in the same order.
        confidence: coverage of the interval.
        resamples: bootstrap resamples.
        seed: of the resamples of prompts; draws use the next.
    """
    x, null = _finite("observed", observed), _finite("draws", draws, ndim=2)
    if null.shape[1] != len(x):
        raise DataError(
            f"The draws cover {null.shape[1]} prompts and the observation {len(x)}.",
            hint="Measure both on the same prompts.",
        )
    n_draws, n = null.shape
    if n_draws < 2:
        raise DataError(f"{n_draws} null draw cannot be resampled.", hint="Draw at least two.")
    samples = [
        (
            by_prompt @ x
            - np.einsum("rd,dp,rp->r", by_draw, null, by_prompt, optimize=True) / n_draws
        )
        / n
        for by_prompt, by_draw in _two_way_counts(n, n_draws, resamples, seed)
    ]
    low, high = percentile_bounds(np.concatenate(samples), confidence)
    return Interval(float(x.mean() - null.mean()), low, high)


def bootstrap_samples(
    statistic: Callable[[np.ndarray], np.ndarray], n: int, resamples: int = 10_000, seed: int = 0
) -> Float64[np.ndarray, "resamples ..."]:
    """Any statistics under resampling: ``statistic`` maps counts [chunk n] to [chunk ...]."""
    return np.concatenate([statistic(counts) for counts in resample_counts(n, resamples, seed)])


def resample_counts(n: int, resamples: int, seed: int) -> Iterator[Float64[np.ndarray, "chunk n"]]:
    """How often each of ``n`` units is drawn in each resample, in chunks of resamples."""
    if n < 2:
        raise DataError(
            f"{n} prompt cannot be resampled.", hint="An interval needs at least two prompts."
        )
    step = max(1, _CHUNK // n)
    if n * resamples <= _CACHED:
        table = _count_table(n, resamples, seed)
        for start in range(0, resamples, step):
            yield table[start : start + step].astype(np.float64)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, step):
        yield _counts(rng, n, min(step, resamples - start)).astype(np.float64)


def cluster_index(groups: Groups | None, n: int) -> Int[np.ndarray, " n"]:
    """Number the clusters 0, 1, … in order of first appearance (one a row without ``groups``)."""
    if groups is None:
        return np.arange(n)
    if len(groups) != n:
        raise DataError(f"{len(groups)} groups were given for {n} rows.", hint="Give one a row.")
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.intp)


def percentile_bounds(samples: np.ndarray, confidence: float) -> tuple[float, float]:
    """The central ``confidence`` share of bootstrap samples."""
    if not 0 < confidence < 1:
        raise DataError(f"confidence is {confidence}.", hint="Give a share, such as 0.95.")
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def _ratio_interval(
    numerator: np.ndarray,
    denominator: np.ndarray,
    groups: Groups | None,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    cluster = cluster_index(groups, len(numerator))
    sums = np.column_stack(
        [np.bincount(cluster, weights=part) for part in (numerator, denominator)]
    )
    drawn = np.concatenate(
        [counts @ sums for counts in resample_counts(len(sums), resamples, seed)]
    )
    least = percentile_bounds(drawn[:, 1], confidence)[0]
    if least <= 0:
        raise DataError(
            f"The denominator of a ratio may be zero: its interval begins at {least:.3g}.",
            hint="A ratio needs a denominator that is positive beyond chance.",
        )
    drawn = drawn[drawn[:, 1] > 0]
    low, high = percentile_bounds(drawn[:, 0] / drawn[:, 1], confidence)
    return Interval(float(numerator.sum() / denominator.sum()), low, high)


def _two_way_counts(
    n: int, n_draws: int, resamples: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    by_draw = np.concatenate(list(resample_counts(n_draws, resamples, seed + 1)))
    start = 0
    for by_prompt in resample_counts(n, resamples, seed):
        stop = start + len(by_prompt)
        yield by_prompt, by_draw[start:stop]
        start = stop


@lru_cache(maxsize=2)
def _count_table(n: int, resamples: int, seed: int) -> UInt8[np.ndarray, "resamples n"]:
    # A count is Poisson(1) to a good approximation: one above 255 will not be seen.
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    table = np.concatenate([_counts(rng, n, size).astype(np.uint8) for size in sizes])
    table.flags.writeable = False
    return table


def _counts(rng: np.random.Generator, n: int, rows: int) -> Int[np.ndarray, "rows n"]:
    drawn = rng.integers(0, n, size=(rows, n))
    drawn += n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)


def _finite(name: str, values: ArrayLike, ndim: int = 1) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise DataError(
            f"{name} has shape {array.shape}.", hint=f"A filled array of {ndim} axis is needed."
        )
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise DataError(
            f"{bad} of {array.size} {name} are NaN or infinite.",
            hint="A missing score is an error of the scorer, not a value to be averaged.",
        )
    return array


def _weights(weights: ArrayLike | None, n: int) -> np.ndarray:
    if weights is None:
        return np.ones(n)
    array = _finite("weights", weights)
    if len(array) != n or (array <= 0).any():
        raise DataError(
            f"{len(array)} weights, the least {array.min():.3g}, were given for {n} values.",
            hint="Give one positive weight a value.",
        )
    return array


def _same_length(name_a: str, a: np.ndarray, name_b: str, b: np.ndarray) -> None:
    if len(a) != len(b):
        raise DataError(
            f"{name_a} has {len(a)} rows and {name_b} has {len(b)}.",
            hint="A paired comparison needs the same rows, in the same order, on both sides.",
        )
