"""Results of an autoencoder that are made up."""

from __future__ import annotations

import numpy as np

from bezoar.sae.feature_results import FeatureTable
from bezoar.sae.quality_results import (
    Histogram,
    LossRecovered,
    QualityRow,
    QualityTable,
    SAEQuality,
)


def quality_table(*, dead: float, recovered: float) -> QualityTable:
    """One autoencoder with a share of dead latents, and of the loss recovered."""
    seen = SAEQuality(
        l0=32.0,
        explained_variance=0.9,
        cosine=0.95,
        mse=0.1,
        dead_share=dead,
        density=Histogram((-4.0, 0.0), (100,), 0),
        shrinkage=1.0,
        bias=1.0,
        tokens=1_000,
    )
    loss = LossRecovered(2.0, 2.5, 10.0, 8.0, recovered, recovered, 1_000)
    row = QualityRow("topk", "topk", "1.resid_post", 0, 100, {"k": 32}, seen, seen, loss, ())
    return QualityTable((row,), "topk", "the only one")


def feature_table(
    auroc: np.ndarray, score: np.ndarray, probe_cosine: np.ndarray | None = None
) -> FeatureTable:
    """Latents that fire on a tenth of all tokens."""
    n = len(auroc)
    same = tuple(np.full(n, 0.1).tolist())
    return FeatureTable(
        name="topk",
        site="1.resid_post",
        id=tuple(range(n)),
        density=same,
        bias=same,
        dot=same,
        cosine=same,
        energy=same,
        projection=same,
        contribution=same,
        interpretability=tuple(score.tolist()),
        probe_cosine=() if probe_cosine is None else tuple(probe_cosine.tolist()),
        probe_correlation=(),
        mean_toxic=same,
        mean_rest=same,
        auroc=tuple(auroc.tolist()),
        tokens=1_000,
        texts=100,
        explained_variance=0.9,
        alpha=0.6,
        mu=-2.5,
        sigma=0.5,
    )
