"""What a few latents tell: probes that may read k of them and no more (Gurnee et al. 2023).

The k latents are those whose means differ most between the classes, in units of their standard
deviation; a logistic regression reads them. Both happen on training texts only: the number that is
reported is from others, and the cross-validated one chooses again in every fold.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from bezoar.errors import ConfigError, DataError
from bezoar.locate.probe_base import make_folds
from bezoar.sae.quality_results import KSparse
from bezoar.stats import auroc, auroc_interval

KS = (1, 2, 5, 16)
_FLOOR = 1e-12


def k_sparse(
    train: csr_array,
    train_labels: Shaped[np.ndarray, " train"],
    report: csr_array,
    report_labels: Shaped[np.ndarray, " report"],
    *,
    ks: Sequence[int] = KS,
    groups: Sequence[Hashable] | None = None,
    report_groups: Sequence[Hashable] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> tuple[KSparse, ...]:
    """Probes of each size on latents of texts.

    Args:
        train, report: pooled latents [texts d_sae]; see `bezoar.sae.pooled`.
        train_labels, report_labels: 0/1 of each text.
        ks: sizes, each at least 1; those beyond the number of latents are cut to it.
        groups: training texts of one group fall in one fold.
        report_groups: report texts of one group are one draw for the interval.
        folds: of the cross-validation.
        seed: of the folds.

    Raises:
        ConfigError: if a size is below 1.
        DataError: if shapes disagree, or a part lacks a class.
    """
    if not ks or min(ks) < 1:
        raise ConfigError(f"Probes of {list(ks)} latents.", hint="Give sizes of at least 1.")
    y, y_report = _labels(train, train_labels), _labels(report, report_labels)
    if train.shape[1] != report.shape[1]:
        raise DataError(
            f"{train.shape[1]} latents to learn from and {report.shape[1]} to report on.",
            hint="Pool both with the same autoencoder.",
        )
    most = min(max(ks), train.shape[1])
    split = make_folds(y.astype(np.int64), groups, folds, seed)
    ranked = [rank_latents(train[fit], y[fit])[:most] for fit, _ in split]
    best = rank_latents(train, y)[:most]
    found = []
    for k in ks:
        held_out = np.zeros(len(y))
        for (fit, held), order in zip(split, ranked, strict=True):
            held_out[held] = _fitted(train[fit], y[fit], order[:k], train[held])
        scores = _fitted(train, y, best[:k], report)
        interval = auroc_interval(scores, y_report, report_groups)
        cv = auroc(held_out, y) if split else None
        found.append(KSparse(k, tuple(best[:k].tolist()), interval, cv))
    return tuple(found)


def rank_latents(
    latents: csr_array, labels: Shaped[np.ndarray, " texts"]
) -> Int64[np.ndarray, " d_sae"]:
    """All latents, those first whose means differ most between the classes, in either direction.

    By ``|μ₁ − μ₀| / σ`` with σ the deviation within the classes; ties by number.
    """
    y = np.asarray(labels).astype(bool)
    (mean_1, var_1), (mean_0, var_0) = _moments(latents[y]), _moments(latents[~y])
    share = y.mean()
    within = np.sqrt(share * var_1 + (1 - share) * var_0)
    strength = np.abs(mean_1 - mean_0) / np.maximum(within, _FLOOR)
    # A latent that is equal on all texts of either class has no deviation and no use.
    strength[(within <= _FLOOR) & (mean_1 == mean_0)] = 0
    return np.lexsort((np.arange(len(strength)), -strength))


def _moments(
    table: csr_array,
) -> tuple[Float64[np.ndarray, " d_sae"], Float64[np.ndarray, " d_sae"]]:
    n, d = table.shape
    values = table.data.astype(np.float64)
    mean = np.bincount(table.indices, values, d) / n
    square = np.bincount(table.indices, values**2, d) / n
    return mean, np.maximum(square - mean**2, 0.0)


def _fitted(
    table: csr_array, labels: np.ndarray, latents: np.ndarray, onto: csr_array
) -> Float64[np.ndarray, " texts"]:
    """Decisions on ``onto`` of a logistic regression that reads these latents."""
    x = table[:, latents].toarray().astype(np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale <= _FLOOR] = 1.0
    model = LogisticRegression(C=1.0, max_iter=200).fit((x - mean) / scale, labels)
    return model.decision_function((onto[:, latents].toarray() - mean) / scale)


def _labels(table: csr_array, labels: Shaped[np.ndarray, " texts"]) -> Bool[np.ndarray, " texts"]:
    y = np.asarray(labels)
    if y.shape != (table.shape[0],) or not np.isin(y, (0, 1)).all() or len(np.unique(y)) < 2:
        raise DataError(
            f"Labels of shape {y.shape} and kinds {np.unique(y)[:5].tolist()} for "
            f"{table.shape[0]} texts.",
            hint="Give 0 or 1 for each text, and texts of both kinds.",
        )
    return y.astype(bool)
