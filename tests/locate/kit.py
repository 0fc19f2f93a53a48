"""Small corpora and directions for the tests of this room."""

from __future__ import annotations

import numpy as np
import torch

from bezoar.corpus import Corpus
from bezoar.locate import Direction
from bezoar.models import LanguageModel, Site
from tests.families import WORDS

PROMPTS = (
    "you are a fool and",
    "the night is so",
    "it was a very good day but I think that people",
    "man",
    "a stupid idiot would know the river",
)
PLAIN = [word for word in WORDS if word not in ("fool", "idiot")]


def corpus(n: int, seed: int, *, telling: tuple[str, ...] = ("fool", "idiot")) -> Corpus:
    """Random words; every second text holds some of the telling ones. Two sources."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n):
        words = list(rng.choice(PLAIN, 10 + int(rng.integers(4))))
        if i % 2:
            for word in telling:
                words[int(rng.integers(len(words)))] = word
        texts.append(" " + " ".join(words))
    labels = np.array([i % 2 for i in range(n)], dtype=np.int8)
    source = tuple("ab"[i % 3 == 0] for i in range(n))
    return Corpus(tuple(texts), labels, source=source, name=f"words {seed}")


def direction(lm: LanguageModel, seed: int = 0) -> Direction:
    """A random direction at the last residual state."""
    torch.manual_seed(seed)
    return Direction.of(torch.randn(lm.d_model), Site(lm.n_layers - 1, "resid_post"), name="w")
