"""Statistics of all latents at once: geometry, density, and what they have to do with the labels.

These are the columns that the SAE safety-probing project (denisalpino/safety_alignment) draws its
scatter of; here they carry the latents' own numbers, so that a point in a figure of some of them
still names the latent that it is. Beside geometry stands what a reader with labels asks: how the
text means of a latent part the classes, and how near it lies to a dense probe.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped
from scipy.sparse import csr_array

from bezoar.errors import DataError
from bezoar.locate import Direction
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.feature_results import FeatureTable
from bezoar.sae.labelled import class_means, correlations, latent_aurocs
from bezoar.sae.reading import LatentMoments

ALPHA, MU, SIGMA = 0.6, -2.5, 0.5
"""Of the interpretability score, as the project set them."""
_LEAST_DENSITY = 1e-12
_TINY = 1e-30

Column = Float64[np.ndarray, " d_sae"]


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """What encoder column e and decoder row d of each latent say, before any token is read.

    Attributes:
        bias: of the encoder.
        dot: d·e.
        cosine: d·e / (‖d‖ ‖e‖); 0 where one of them is zero.
        energy: cosine².
        projection: d·e / ‖e‖².
        decoder_norm: ‖d‖.
    """

    bias: Column
    dot: Column
    cosine: Column
    energy: Column
    projection: Column
    decoder_norm: Column

    @classmethod
    def of(cls, sae: SparseAutoencoder) -> Geometry:
        """In float64."""
        encoder = sae.W_enc.detach().T.double().cpu().numpy()
        decoder = sae.W_dec.detach().double().cpu().numpy()
        dot = np.einsum("ij,ij->i", decoder, encoder)
        norm_e, norm_d = np.linalg.norm(encoder, axis=1), np.linalg.norm(decoder, axis=1)
        cosine = np.clip(dot / np.maximum(norm_e * norm_d, _TINY), -1.0, 1.0)
        bias = sae.b_enc.detach().double().cpu().numpy()
        projection = dot / np.maximum(norm_e**2, _TINY)
        return cls(bias, dot, cosine, cosine**2, projection, norm_d)


def contributions(variance: Column, decoder_norm: Column) -> Column:
    """``var(f_i) ‖d_i‖² / Σ_j var(f_j) ‖d_j‖²``: shares of what moves in reconstructions.

    Raises:
        DataError: if no latent varies.
    """
    moved = variance * decoder_norm**2
    if (total := float(moved.sum())) <= 0:
        raise DataError(
            "No latent varies on these tokens, so none contributes.",
            hint="The autoencoder is dead, or of another site: look at its quality first.",
        )
    return np.asarray(moved / total)


def interpretability(
    cosine: Column,
    density: Column,
    *,
    alpha: float = ALPHA,
    mu: float = MU,
    sigma: float = SIGMA,
) -> Column:
    """The project's score of how likely a latent is to mean one thing, in [0, 1].

    ``α (cos + 1) / 2 + (1 − α) exp(−½ ((log₁₀ density − μ) / σ)²)``, then stretched so that the
    lowest latent has 0 and the highest 1 (½ for all where all are equal). It rewards an encoder
    that looks along its decoder and a density near ``10^μ``. It reads no text: a heuristic to sort
    by, not a measurement of meaning.

    Args:
        cosine: between encoder and decoder.
        density: share of tokens on which each fires.
        alpha: weight of the cosine.
        mu: log10 of the density that scores best.
        sigma: how far from it, in decades, the score is still e^(−½) of its best.

    Raises:
        DataError: if ``alpha`` is not in [0, 1], or ``sigma`` not positive.
    """
    if not 0 <= alpha <= 1 or sigma <= 0:
        raise DataError(
            f"alpha={alpha} and sigma={sigma} make no score.",
            hint="Give alpha in [0, 1] and a positive sigma.",
        )
    logs = np.log10(np.maximum(density, _LEAST_DENSITY))
    raw = alpha * (cosine + 1) / 2 + (1 - alpha) * np.exp(-0.5 * ((logs - mu) / sigma) ** 2)
    low, high = raw.min(), raw.max()
    return (raw - low) / (high - low) if high > low else np.full_like(raw, 0.5)


def feature_table(
    sae: SparseAutoencoder,
    moments: LatentMoments,
    pooled: csr_array,
    labels: Shaped[np.ndarray, " texts"],
    *,
    name: str = "",
    explained_variance: float = 0.0,
    alpha: float = ALPHA,
    mu: float = MU,
    sigma: float = SIGMA,
) -> FeatureTable:
    """Everything that `FeatureTable` tells, of all latents, but of a probe (see `beside_probe`).

    Args:
        sae: whose latents.
        moments: of tokens; see `bezoar.sae.reading.read_codes`.
        pooled: text means [texts d_sae] of the same texts.
        labels: of the texts.
        name: of the autoencoder.
        explained_variance: on the same tokens, for titles.
        alpha, mu, sigma: see `interpretability`.

    Raises:
        DataError: if no latent varies, or labels are of one kind.
    """
    geometry, density = Geometry.of(sae), moments.density
    toxic, rest = class_means(pooled, labels)
    columns: dict[str, Column] = {
        "density": density,
        "bias": geometry.bias,
        "dot": geometry.dot,
        "cosine": geometry.cosine,
        "energy": geometry.energy,
        "projection": geometry.projection,
        "contribution": contributions(moments.variance, geometry.decoder_norm),
        "interpretability": interpretability(
            geometry.cosine, density, alpha=alpha, mu=mu, sigma=sigma
        ),
        "mean_toxic": toxic,
        "mean_rest": rest,
        "auroc": latent_aurocs(pooled, labels),
    }
    return FeatureTable(
        name=name,
        site=sae.info.site,
        id=tuple(range(sae.d_sae)),
        **{key: tuple(value.tolist()) for key, value in columns.items()},
        probe_cosine=(),
        probe_correlation=(),
        tokens=moments.tokens,
        texts=int(pooled.shape[0]),
        explained_variance=explained_variance,
        alpha=alpha,
        mu=mu,
        sigma=sigma,
    )


def beside_probe(
    table: FeatureTable,
    sae: SparseAutoencoder,
    pooled: csr_array,
    probe: Direction,
    decisions: Float[np.ndarray, " texts"],
) -> FeatureTable:
    """The table of all latents with what each has to do with a dense probe at the same site.

    Args:
        table: of all latents.
        sae: whose they are.
        pooled: text means [texts d_sae].
        probe: its direction.
        decisions: of the probe on each text; by folds that had not seen it, where it learnt there.

    Raises:
        DataError: if the probe has another width.
    """
    if len(probe.vector) != sae.d_model:
        raise DataError(
            f"The probe {probe.name!r} has {len(probe.vector)} dimensions, and latents of this "
            f"autoencoder write {sae.d_model}.",
            hint="Give a probe of the autoencoder's own site.",
        )
    decoder = sae.W_dec.detach().double().cpu().numpy()
    norms = np.maximum(np.linalg.norm(decoder, axis=1), _TINY)
    return replace(
        table,
        probe_cosine=tuple((decoder @ probe.vector.double().numpy() / norms).tolist()),
        probe_correlation=tuple(correlations(pooled, decisions).tolist()),
    )


def select(table: FeatureTable, latents: Int64[np.ndarray, " some"]) -> FeatureTable:
    """The table of some latents, which keep their numbers.

    Args:
        table: of all, or some.
        latents: their own numbers, in the order wanted.

    Raises:
        DataError: if the table has no such latent.
    """
    place = {latent: row for row, latent in enumerate(table.id)}
    missing = [latent for latent in latents.tolist() if latent not in place]
    if missing:
        raise DataError(
            f"There is no latent {missing[0]} in a table of {len(table)}.",
            hint=f"They are numbered from {min(table.id)} to {max(table.id)}.",
        )
    rows = [place[latent] for latent in latents.tolist()]
    columns: dict[str, Any] = {
        field.name: tuple(value[row] for row in rows)
        for field in fields(table)
        if isinstance(value := getattr(table, field.name), tuple) and value
    }
    return replace(table, **columns)


def worth_a_card(table: FeatureTable, top: int) -> Int64[np.ndarray, " latents"]:
    """The latents to look at: by contribution and by what they say of the label, in turns.

    Those that are silent where the label is 1 tell it as well as those that fire there.

    Args:
        table: of all latents.
        top: how many at most; those that never fired are left out.
    """
    alive = np.flatnonzero(np.array(table.density) > 0)
    ids, contribution, auroc = (
        np.array(column)[alive] for column in (table.id, table.contribution, table.auroc)
    )
    rankings = [np.lexsort((ids, -contribution)), np.lexsort((ids, -np.abs(auroc - 0.5)))]
    chosen = dict.fromkeys(ids[np.stack(rankings, axis=1).ravel()].tolist())
    return np.array(list(chosen)[:top], dtype=np.int64)
