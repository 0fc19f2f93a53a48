"""How good an autoencoder is: how faithful, how sparse, how many of its latents are dead.

All numbers are sums over tokens that are kept while the tokens pass, in double precision, so that
memory does not grow with them. What the model makes of reconstructions is in
`bezoar.sae.splicing`, what a few latents tell in `bezoar.sae.k_sparse`.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.activations import ActivationStore, StreamingMoments
from bezoar.activations.rows import RowSource
from bezoar.errors import DataError
from bezoar.runs.progress import SILENT, Progress
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.codes import Codes
from bezoar.sae.quality_results import Histogram, SAEQuality
from bezoar.sae.reading import LatentMoments, block_rows, read_codes
from bezoar.sae.token_rows import TextRows, Texts, TokenRows, tokens_of

_EDGES = np.linspace(-6.0, 0.0, 37)
"""Of the histogram: six bins to a decade of density."""


class QualityMeter:
    """Collects the quality of an autoencoder; see `SAEQuality`.

    Attributes:
        latents: how often each fires, and its moments.
        inputs: moments of the rows themselves.
    """

    def __init__(self, sae: SparseAutoencoder) -> None:
        self.latents = LatentMoments(sae.d_sae)
        self.inputs = StreamingMoments(sae.d_model, covariance=False)
        self._sae = sae
        self._error = self._cosine = 0.0
        self._lengths = self._squares = self._outer = self._inner = 0.0

    def take(self, block: TextRows, codes: Codes) -> None:
        """See `bezoar.sae.reading.Collector`."""
        self.update(block.rows, codes)

    def update(self, rows: Float[Tensor, "rows d_model"], codes: Codes) -> None:
        """Add rows and their latents.

        Raises:
            DataError: if a reconstruction is not finite.
        """
        self.latents.add(codes)
        x = rows.to(codes.values.device)
        made = self._sae.decode_codes(codes)
        norm, made_norm = x.norm(dim=1), made.norm(dim=1)
        inner = (x * made).sum(dim=1)
        sums = [
            (x - made).square().sum(dim=1),
            inner / (norm * made_norm).clamp_min(1e-30),
            norm * made_norm,
            norm.square(),
            made_norm.square(),
            inner,
        ]
        totals = torch.stack(sums).cpu().double().sum(dim=1).tolist()
        if not np.isfinite(totals).all():
            raise DataError(
                f"A reconstruction of {len(x)} rows is not finite.",
                hint="Was the autoencoder trained to the end, and on this site?",
            )
        self.inputs.update(x)
        error, cosine, lengths, squares, outer, product = totals
        self._error += error
        self._cosine += cosine
        self._lengths += lengths
        self._squares += squares
        self._outer += outer
        self._inner += product

    def result(self) -> SAEQuality:
        """What was seen so far.

        Raises:
            DataError: if the rows do not vary: then there is nothing to explain.
        """
        n, d = self.inputs.count, len(self.inputs.mean)
        scatter = float(self.inputs.variance(ddof=0).sum()) * n
        if scatter <= 0:
            raise DataError(
                f"All {n} rows are equal, so there is no variance to explain.",
                hint="Give tokens of more than one text, and of a site that varies.",
            )
        density = self.latents.density
        return SAEQuality(
            l0=float(self.latents.fired.sum()) / n,
            explained_variance=1 - self._error / scatter,
            cosine=self._cosine / n,
            mse=self._error / (n * d),
            dead_share=float((density == 0).mean()),
            density=density_histogram(density),
            shrinkage=self._lengths / self._squares,
            bias=self._outer / self._inner if self._inner else 0.0,
            tokens=n,
        )


def explained_variance(
    x: Float[Tensor, "rows d_model"], x_hat: Float[Tensor, "rows d_model"]
) -> float:
    """``1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²`` of rows at hand; `measure_quality` has it of any number.

    Raises:
        DataError: if the rows are of different shapes, or do not vary.
    """
    wide = x.double()
    scatter = float((wide - wide.mean(0)).square().sum()) if len(x) else 0.0
    if x.shape != x_hat.shape or scatter <= 0:
        raise DataError(
            f"Rows of shape {tuple(x.shape)} and reconstructions of {tuple(x_hat.shape)} have no "
            "variance to explain.",
            hint="Give as many of either, and rows that differ.",
        )
    return 1 - float((wide - x_hat.double()).square().sum()) / scatter


@torch.no_grad()
def measure_quality(
    sae: SparseAutoencoder,
    rows: RowSource | TokenRows | ActivationStore,
    *,
    texts: Texts | None = None,
    progress: Progress | None = None,
) -> SAEQuality:
    """Measure an autoencoder on rows: all of an epoch, or those of some texts.

    Args:
        sae: what is measured.
        rows: a source of rows; of a store the autoencoder's own site.
        texts: only these; where the source knows of texts.
        progress: shows tokens done.

    Raises:
        SAEError: if the autoencoder is of another width.
        DataError: if all rows are equal, or texts are named and the source knows none.
        ModelError: if a row is not finite.
    """
    meter = QualityMeter(sae)
    if isinstance(rows, ActivationStore):
        rows = tokens_of(sae, rows)
    if isinstance(rows, TokenRows):
        read_codes(sae, rows, [meter], texts=texts, progress=progress)
        return meter.result()
    if texts is not None:
        raise DataError("A source of shuffled rows knows no texts.", hint="Give the store itself.")
    with (progress or SILENT).task(f"Reading {rows.site}", rows.n_rows, "tokens") as tick:
        for batch in rows.batches(min(block_rows(sae), rows.n_rows)):
            batch = batch.to(sae.W_dec.device)
            meter.update(batch, sae.codes(batch))
            tick(len(batch))
    return meter.result()


def density_histogram(density: Float[np.ndarray, " d_sae"]) -> Histogram:
    """How many latents fire how often, in sixths of a decade from a millionth to always."""
    alive = density[density > 0]
    logs = np.clip(np.log10(alive), _EDGES[0], _EDGES[-1])
    counts, _ = np.histogram(logs, _EDGES)
    return Histogram(
        tuple(np.round(_EDGES, 6).tolist()), tuple(counts.tolist()), int(len(density) - len(alive))
    )
