"""Could a null have won? p-values of a method against edits that only look like it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from bezoar.errors import DataError
from bezoar.stats.bootstrap import bootstrap_samples
from bezoar.stats.nulls import null_p_value


def pooled_null_p(
    observed: Float[np.ndarray, " prompt"],
    draws: Float[np.ndarray, "draw prompt"],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> float:
    """How often a null draw does at least as well (toxicity as low) as the method.

    Prompts are resampled, the same for both sides, and in each resample the method meets every
    draw: p = (1 + Σ_b share of draws with mean_b(draw) ≤ mean_b(method)) / (1 + resamples). With
    few draws it speaks of *these* draws on other prompts; `rank_null_p` speaks of other draws.

    Args:
        observed: per-prompt toxicity of the method.
        draws: per-prompt toxicity of each null draw, prompts in the same order.

    Raises:
        DataError: if there is no draw, or the prompts differ in number.
    """
    if draws.shape[0] == 0 or draws.shape[1] != observed.shape[0]:
        raise DataError(
            f"Null draws of shape {draws.shape} do not go with {observed.shape[0]} prompts."
        )
    behind = observed[:, None] - draws.T
    share = bootstrap_samples(
        lambda counts: (counts @ behind >= 0).mean(axis=1), len(observed), resamples, seed
    )
    return float((1 + share.sum()) / (1 + resamples))


def rank_null_p(
    observed: Float[np.ndarray, " prompt"], draws: Float[np.ndarray, "draw prompt"]
) -> float:
    """(1 + draws at least as good) / (1 + draws): exact, and never below 1 / (draws + 1)."""
    return null_p_value(float(observed.mean()), draws.mean(axis=1), alternative="less")
