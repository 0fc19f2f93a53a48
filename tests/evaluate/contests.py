"""Planted contests, where the truth is known."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from bezoar.evaluate.contest import Sizes, contest
from bezoar.evaluate.contest_readers import Reader, text_readers

QUICK = Sizes(
    sparse=(1, 3), folds=3, penalties=3, labels=(60,), noise=(0.2,), draws=2, resamples=300
)
N, TRAIN = 480, 330
LATENT = 7


def latents(labels, *, d=24, strength=1.0, seed=1):
    """Sparse latents of which one tells the label with probability ``strength``."""
    rng = np.random.default_rng(seed)
    z = (rng.random((len(labels), d)) < 0.3) * rng.exponential(size=(len(labels), d))
    told = np.where(rng.random(len(labels)) < strength, labels, rng.integers(0, 2, len(labels)))
    z[:, LATENT] = told * (1 + rng.exponential(size=len(labels)))
    return csr_array(z.astype(np.float32))


def noise(n=N, d=12, seed=2):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def labels_of(n=N, share=0.5, seed=0):
    return (np.random.default_rng(seed).random(n) < share).astype(int)


def run(sae, dense, labels, *, texts=None, sources=None, **more):
    """A contest of one SAE reader and one dense reader (and the texts, if there are any)."""
    train, report = np.arange(TRAIN), np.arange(TRAIN, len(labels))
    readers = [
        Reader("latents", "sae", lambda: sae, "3.resid_post", "mean"),
        Reader("states", "dense", lambda: dense, "3.resid_post", "mean"),
    ]
    if texts is not None:
        readers += text_readers(texts, train, sources)
    given = {"sizes": QUICK, "curves": False} | more
    return contest(readers, labels, sources, train, report, **given)
