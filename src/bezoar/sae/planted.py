"""Rows whose dictionary is known: what an autoencoder should find."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import ConfigError


def planted_dictionary(
    n_features: int, d: int, rows: int, active: float | int, seed: int = 0, *, noise: float = 0.0
) -> tuple[Float[Tensor, "rows d"], Float[Tensor, "n_features d"]]:
    """Sums of few directions: ``x = Σ_{i ∈ S} a_i v_i + noise``.

    Args:
        n_features: directions, more than ``d`` if they are to overlap.
        d: dimensions.
        rows: how many sums.
        active: directions in each, on average; a feature is in with probability
            ``active / n_features``, its coefficient uniform in [1, 2].
        seed: of everything.
        noise: standard deviation in each dimension.

    Returns:
        The rows, and the dictionary of unit vectors.

    Raises:
        ConfigError: if fewer than one row, dimension or feature is asked for, or more are active
            than there are.
    """
    if min(n_features, d, rows) < 1 or not 0 < active <= n_features or noise < 0:
        raise ConfigError(
            f"{rows} rows of {d} dimensions with {active:g} of {n_features} features active.",
            hint="All must be positive, and no more active than there are.",
        )
    rng = np.random.default_rng(seed)
    dictionary = rng.standard_normal((n_features, d))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    chosen = rng.random((rows, n_features)) < active / n_features
    latents = chosen * rng.uniform(1, 2, (rows, n_features))
    x = latents @ dictionary + noise * rng.standard_normal((rows, d))
    return torch.from_numpy(x).float(), torch.from_numpy(dictionary).float()


def recovered(
    W_dec: Float[Tensor, "d_sae d"], dictionary: Float[Tensor, "n_features d"]
) -> Float[Tensor, " n_features"]:
    """Of each planted direction the cosine to the decoder row nearest to it."""
    rows = W_dec / W_dec.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return (dictionary @ rows.T).amax(1)
