"""What the tests of pairs share."""

from __future__ import annotations

import numpy as np


class ByHash:
    """Scores that no text explains, equal for equal texts."""

    attributes, threshold = ("toxicity",), 0.5

    def __init__(self, name: str) -> None:
        self.name, self.lineage = name, name
        self.hash = name * 8

    def score(self, texts):
        return {"toxicity": np.array([sum(text.encode()) % 101 / 100 for text in texts])}


def any_scorer(name: str) -> ByHash:
    """A stand-in for ``load_scorer``."""
    return ByHash(name)
