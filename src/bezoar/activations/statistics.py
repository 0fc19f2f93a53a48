"""Means, covariances and norms of activations, gathered while they pass and stored nowhere.

Updates and merges follow Chan, Golub & LeVeque 1983: with n = n_a + n_b and δ = μ_b − μ_a,

    μ = μ_a + δ n_b / n        M = M_a + M_b + δ δᵀ n_a n_b / n

where M is the scatter Σ (x − μ)(x − μ)ᵀ. All sums are float64: the plain Σ x² − n μ² would lose a
small variance beside the large means that residual streams have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from bezoar.activations.batching import plan_batches
from bezoar.activations.passes import forward_passes
from bezoar.activations.pooling import Pooling
from bezoar.activations.tokens import TokenTable, tokenise
from bezoar.errors import DataError
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import SILENT, Progress

Rows = Float[Tensor, "rows d"] | Float[np.ndarray, "rows d"]


class StreamingMoments:
    """Moments of rows [n d], seen a few at a time.

    Args:
        d: size of a row.
        covariance: keep the full scatter [d d]; else its diagonal only.

    Attributes:
        count: rows seen.
        mean: [d] their mean; zeros before the first.
        norm_sum, norm_max: sum and largest of their lengths ‖x‖.
    """

    def __init__(self, d: int, *, covariance: bool = True) -> None:
        self.count = 0
        self.mean: Float64[Tensor, " d"] = torch.zeros(d, dtype=torch.float64)
        self.norm_sum = 0.0
        self.norm_max = 0.0
        self._scatter = torch.zeros((d, d) if covariance else (d,), dtype=torch.float64)

    @property
    def has_covariance(self) -> bool:
        return self._scatter.ndim == 2

    def update(self, rows: Rows) -> None:
        """Add rows; sums over them are taken on the device where they are."""
        x = _float64(rows)
        if len(x) == 0:
            return
        batch = StreamingMoments(x.shape[1], covariance=self.has_covariance)
        mean = x.mean(0)
        norms = x.norm(dim=1)
        centred = x - mean
        scatter = centred.T @ centred if self.has_covariance else (centred**2).sum(0)
        batch.count, batch.mean, batch._scatter = len(x), mean.cpu(), scatter.cpu()
        batch.norm_sum, batch.norm_max = float(norms.sum()), float(norms.max())
        self.merge(batch)

    def merge(self, other: StreamingMoments) -> None:
        """Add all rows that another has seen.

        Raises:
            DataError: if the other has rows of another size, or keeps other sums.
        """
        if other._scatter.shape != self._scatter.shape:
            raise DataError(
                f"Moments of shape {tuple(other._scatter.shape)} do not add to "
                f"{tuple(self._scatter.shape)}.",
                hint="Merge moments of one site, with covariances on both sides or on neither.",
            )
        total = self.count + other.count
        if other.count == 0:
            return
        delta = other.mean - self.mean
        outer = torch.outer(delta, delta) if self.has_covariance else delta**2
        self._scatter += other._scatter + outer * (self.count * other.count / total)
        self.mean = self.mean + delta * (other.count / total)
        self.count = total
        self.norm_sum += other.norm_sum
        self.norm_max = max(self.norm_max, other.norm_max)

    def covariance(self, ddof: int = 1) -> Float64[Tensor, "d d"]:
        """``M / (n − ddof)``.

        Raises:
            DataError: if it was not kept, or there are too few rows.
        """
        if not self.has_covariance:
            raise DataError("Covariances were not kept.", hint="Ask for covariance=True.")
        return self._scatter / self._divisor(ddof)

    def variance(self, ddof: int = 1) -> Float64[Tensor, " d"]:
        """The diagonal of the covariance."""
        scatter = self._scatter.diagonal() if self.has_covariance else self._scatter
        return scatter / self._divisor(ddof)

    @property
    def norm_mean(self) -> float:
        """Mean length of a row, E‖x‖."""
        return self.norm_sum / self._divisor(0)

    @property
    def norm_rms(self) -> float:
        """Root mean square length, (E‖x‖²)^½: from ‖μ‖² plus the trace of the covariance."""
        return float(((self.mean**2).sum() + self.variance(ddof=0).sum()) ** 0.5)

    def _divisor(self, ddof: int) -> int:
        if self.count <= ddof:
            raise DataError(
                f"{self.count} rows are too few.", hint="Give more texts of each class."
            )
        return self.count - ddof


def class_moments(
    lm: LanguageModel,
    texts: Sequence[str] | TokenTable,
    labels: Sequence[int] | np.ndarray,
    sites: Site | str | Iterable[Site | str],
    *,
    pooling: Pooling = "mean",
    covariance: bool = True,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    progress: Progress | None = None,
) -> dict[Site, dict[int, StreamingMoments]]:
    """Moments of each class at each site, in one pass that stores no activations.

    Args:
        lm: the model.
        texts: what to read, or the tokens of it.
        labels: the class of each text.
        sites: one or more.
        pooling: with ``none`` every token of a text is a row of its class.
        covariance: keep full covariances ([d d] a class and site, float64).
        budget_tokens: padded tokens a batch.
        max_tokens: cut texts there.
        progress: shows tokens done, rate and remaining time.

    Returns:
        site → class → moments.

    Raises:
        DataError: if there is not one label a text, or a text gives no token.
    """
    table = texts if isinstance(texts, TokenTable) else tokenise(lm, texts, max_tokens, progress)
    classes = np.asarray(labels)
    if classes.shape != (len(table),):
        raise DataError(
            f"Labels of shape {classes.shape} for {len(table)} texts.", hint="Give one a text."
        )
    named = [sites] if isinstance(sites, (Site, str)) else sites
    wanted = sorted({lm.site(site) for site in named})
    plan = plan_batches(table.lengths, budget_tokens)
    moments: dict[Site, dict[int, StreamingMoments]] = {site: {} for site in wanted}
    passes = forward_passes(
        lm, table, plan, wanted, pooling, lambda _, values, pool: _float64(pool(values))
    )
    with (progress or SILENT).task("Reading", int(plan.tokens.sum()), "tokens") as tick:
        for done in passes:
            lengths = table.lengths[done.texts]
            of_row = classes[done.texts]
            of_row = np.repeat(of_row, lengths) if pooling == "none" else of_row
            for site, rows in done.values.items():
                for label in np.unique(of_row).tolist():
                    part = rows[torch.from_numpy(of_row == label).to(rows.device)]
                    seen = moments[site].setdefault(
                        label, StreamingMoments(rows.shape[1], covariance=covariance)
                    )
                    seen.update(part)
            tick(int(lengths.sum()))
    return {site: dict(sorted(by_class.items())) for site, by_class in moments.items()}


def _float64(rows: Rows) -> Tensor:
    x = torch.as_tensor(rows)
    # Apple's devices have no float64.
    return x.to("cpu" if x.device.type == "mps" else x.device, torch.float64)
