"""A scorer whose toxic words a tiny random model does write, and prompts for it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

PROMPTS = [
    "the man and you", "I think", "a", "good people would", "you are so", "the night was very",
    "in the house", "it is the tree", "woman know", "this", "that river on", "say it", "but as",
    "lovely kind of day", "",
]  # fmt: skip


class HashScorer:
    """About every ``every``-th word is toxic, by its hash; each adds 4 to a logit of −2."""

    attributes = ("toxicity",)
    threshold = 0.5
    lineage = "a test's"

    def __init__(self, every: int = 4) -> None:
        self.every = every
        self.name = self.hash = f"hash-{every}"

    def is_toxic(self, word: str) -> bool:
        return self.every > 0 and zlib.crc32(word.encode()) % self.every == 0

    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        found = [sum(map(self.is_toxic, re.findall(r"\S+", text))) for text in texts]
        return {"toxicity": 1 / (1 + np.exp(2 - 4 * np.array(found, dtype=float)))}
