"""What latents of texts have to do with labels, groups and scores of the same texts.

Latents are pooled and sparse (`bezoar.sae.pooled`): what is zero is counted, not sorted or summed.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Shaped
from scipy.sparse import csr_array
from scipy.stats import rankdata

from bezoar.errors import DataError

_TINY = 1e-30

Column = Float64[np.ndarray, " d_sae"]


def latent_aurocs(
    pooled: csr_array, labels: Shaped[np.ndarray, " texts"]
) -> Float64[np.ndarray, " d_sae"]:
    """AUROC of every latent of pooled, non-negative latents [texts d_sae]; ½ for what never fires.

    Exact, ties counted half, as `bezoar.stats.auroc`; only what is not zero is sorted.

    Raises:
        DataError: if there is not one label a text, or a class is missing.
    """
    y = np.asarray(labels)
    n, d = pooled.shape
    positives = int(y.sum()) if y.shape == (n,) else 0
    if not 0 < positives < n:
        raise DataError(
            f"{positives} of {len(y)} labels are 1, for {n} texts.",
            hint="Give one label a text, and texts of both kinds.",
        )
    columns = pooled.tocsc()
    found = np.full(d, 0.5)
    for latent in range(d):
        part = slice(columns.indptr[latent], columns.indptr[latent + 1])
        values, of = columns.data[part], y[columns.indices[part]]
        kept = values > 0
        if not kept.any():
            continue
        ranks, of = rankdata(values[kept]), of[kept].astype(bool)
        zeros = n - len(ranks)
        silent = positives - int(of.sum())
        # Zeros share the middle of the lowest ranks; what fires comes after them.
        total = silent * (zeros + 1) / 2 + float((ranks[of] + zeros).sum())
        found[latent] = (total - positives * (positives + 1) / 2) / (positives * (n - positives))
    return found


def class_means(pooled: csr_array, labels: Shaped[np.ndarray, " texts"]) -> tuple[Column, Column]:
    """Mean of each latent over texts with label 1, and over the rest."""
    y = np.asarray(labels).astype(bool)
    toxic, rest = (
        np.asarray(part.mean(axis=0, dtype=np.float64)) for part in (pooled[y], pooled[~y])
    )
    return toxic.ravel(), rest.ravel()


def group_means(pooled: csr_array, names: tuple[str, ...] | None) -> dict[str, Column]:
    """Mean of each latent over the texts of each name, the largest groups first."""
    if names is None:
        return {}
    kinds, codes, counts = np.unique(np.array(names), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {
        str(kinds[kind]): np.asarray(pooled[codes == kind].mean(axis=0, dtype=np.float64)).ravel()
        for kind in order
    }


def correlations(
    pooled: csr_array, scores: Float[np.ndarray, " texts"]
) -> Float64[np.ndarray, " d_sae"]:
    """Pearson's correlation of every latent with a score of the texts; 0 for what does not vary."""
    n = pooled.shape[0]
    centred = np.asarray(scores, dtype=np.float64) - np.mean(scores)
    wide = pooled.astype(np.float64)
    covariance = np.asarray(wide.T @ centred).ravel() / n
    mean = np.asarray(wide.mean(axis=0)).ravel()
    variance = np.asarray(wide.multiply(wide).mean(axis=0)).ravel() - mean**2
    deviation = np.sqrt(np.maximum(variance, 0.0)) * centred.std()
    return np.divide(covariance, deviation, out=np.zeros_like(mean), where=deviation > _TINY)
