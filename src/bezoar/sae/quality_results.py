"""What is measured of a sparse autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True, repr=False)
class Histogram(Result):
    """How many latents fire how often.

    Attributes:
        edges: log10 of the share of tokens, one more than there are counts.
        counts: latents in each bin; those outside of all are in the outermost.
        dead: latents that never fired, which have no logarithm.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    dead: int


@dataclass(frozen=True, slots=True, repr=False)
class SAEQuality(Result):
    """How faithful and how sparse an autoencoder is, on tokens that it was given.

    Attributes:
        l0: mean number of latents that fire on a token.
        explained_variance: ``1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²``, x̄ the mean of the same tokens: 1 is
            perfect, 0 what the mean alone gets, and no bound below.
        cosine: mean cosine of x and x̂.
        mse: mean of ``‖x − x̂‖² / d``.
        dead_share: share of latents that never fired on these tokens.
        density: of latents, by how often they fire.
        shrinkage: slope of ``‖x̂‖`` on ``‖x‖`` through the origin; below 1, reconstructions are too
            short.
        bias: ``E‖x̂‖² / E⟨x, x̂⟩``, by what reconstructions would have to be divided to lie as near
            as possible (Rajamanoharan et al. 2024, relative reconstruction bias): below 1 for what
            an L1 penalty shrinks, 1 for what is unbiased.
        tokens: how many.
    """

    l0: float
    explained_variance: float
    cosine: float
    mse: float
    dead_share: float
    density: Histogram
    shrinkage: float
    bias: float
    tokens: int


@dataclass(frozen=True, slots=True)
class LossRecovered(Result):
    """What predicting the next token loses when the model goes on from reconstructions.

    Cross-entropies are in nats a token, over the same next tokens.

    Attributes:
        base: of the model as it is.
        spliced: with x̂ in the place of x, its error lost.
        zero: with zeros in the place of x.
        mean: with the mean of the site in the place of x.
        recovered: ``(zero − spliced) / (zero − base)``, as it is usually told.
        recovered_of_mean: ``(mean − spliced) / (mean − base)``, which is harder: the mean costs
            less than zeros do.
        tokens: predicted.
    """

    base: float
    spliced: float
    zero: float
    mean: float
    recovered: float
    recovered_of_mean: float
    tokens: int


@dataclass(frozen=True, slots=True)
class KSparse(Result):
    """How well a few latents tell the classes apart (Gurnee et al. 2023).

    Attributes:
        k: how many.
        latents: their numbers, best first, chosen on the training texts.
        auroc: on texts that neither chose nor fitted, with its interval.
        cv_auroc: on training texts, each judged by a choice and a fit that had not seen it; None
            where they are too few to fold.
    """

    k: int
    latents: tuple[int, ...]
    auroc: Interval
    cv_auroc: float | None


@dataclass(frozen=True, slots=True, repr=False)
class QualityRow(Result):
    """Everything that was measured of one autoencoder.

    Attributes:
        name: of its folder.
        architecture, site, seed, d_sae: what it is.
        options: of its architecture.
        held_out: on tokens of texts that it was not trained on.
        trained: on tokens of the texts that it was trained on (of either label, if it was trained
            on one).
        loss: by splicing, on held-out texts; None where the model has no unembedding.
        probing: k-sparse probes on text means, one a k.
        d_model: dimensions of the site.
    """

    name: str
    architecture: str
    site: str
    seed: int
    d_sae: int
    options: dict[str, float | int | str]
    held_out: SAEQuality
    trained: SAEQuality
    loss: LossRecovered | None
    probing: tuple[KSparse, ...]
    d_model: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class QualityTable(Result):
    """All autoencoders of a study, and which of them is read closely.

    Attributes:
        rows: in the order in which they were asked for.
        chosen: the name of the one whose latents are read.
        rule: how it was chosen.
    """

    rows: tuple[QualityRow, ...]
    chosen: str
    rule: str

    def row(self, name: str) -> QualityRow:
        """The row of one autoencoder."""
        return next(row for row in self.rows if row.name == name)

    def __rich__(self) -> Table:
        heads = ("autoencoder", "L0", "explained", "loss recovered", "dead")
        ks = tuple(one.k for one in self.rows[0].probing) if self.rows else ()
        table = Table(*heads, *(f"AUROC k={k}" for k in ks), title="sparse autoencoders")
        for row in self.rows:
            table.add_row(
                row.name + (" *" if row.name == self.chosen else ""),
                f"{row.held_out.l0:.1f}",
                f"{row.held_out.explained_variance:.3f}",
                "–" if row.loss is None else f"{row.loss.recovered:.3f}",
                f"{row.trained.dead_share:.1%}",
                *(f"{one.auroc.value:.3f}" for one in row.probing),
            )
        return table
