"""Texts of very different lengths for the tiny models."""

from __future__ import annotations

import numpy as np

from tests.families import WORDS


def texts(n: int, longest: int = 40, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    lengths = np.clip(np.exp(rng.normal(1.8, 1.0, n)).astype(int), 1, longest)
    return [" " + " ".join(rng.choice(WORDS, length)) for length in lengths]
