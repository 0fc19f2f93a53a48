"""Rows of texts in memory, small corpora, and dense latents to count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from bezoar.corpus import Corpus
from bezoar.models import LanguageModel, Site
from bezoar.sae import SparseAutoencoder
from bezoar.sae.token_rows import TextRows, check_texts, places_of, split_texts

LENGTHS = (5, 1, 9, 3, 7, 2, 12, 4)


class MemoryTokens:
    """Rows of texts of these lengths; a token's row is its id's, plus a little of its own."""

    def __init__(self, lengths=LENGTHS, d: int = 16, vocabulary: int = 30, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.site = Site(1, "resid_post")
        self.d = d
        self.lengths = np.array(lengths, np.int64)
        self.ids = rng.integers(0, vocabulary, int(self.lengths.sum())).astype(np.int32)
        table = rng.normal(size=(vocabulary, d))
        rows = table[self.ids] + 0.3 * rng.normal(size=(len(self.ids), d))
        self.rows = torch.from_numpy(rows.astype(np.float32))

    @property
    def offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def blocks(self, texts=None, rows: int = 10):
        chosen = check_texts(texts, len(self.lengths))
        for some in split_texts(chosen, self.lengths, min(rows, 10)):
            places = places_of(self.offsets[some], self.lengths[some])
            yield TextRows(some, self.lengths[some], self.ids[places], self.rows[places])

    def of_text(self, text: int) -> torch.Tensor:
        return self.rows[self.offsets[text] : self.offsets[text + 1]]

    def permuted(self, order) -> MemoryTokens:
        """The same texts in another order."""
        other = MemoryTokens(self.lengths, self.d)
        places = places_of(self.offsets[list(order)], self.lengths[list(order)])
        other.lengths = self.lengths[list(order)]
        other.ids, other.rows = self.ids[places], self.rows[places]
        return other


class Letters(LanguageModel):
    """Stands for a model where only token strings matter; ids 24 apart are one string."""

    def __init__(self) -> None:
        pass

    def token_strings(self, ids):
        return [" " + "abcdefghijklmnopqrstuvwxyz"[i % 24] for i in ids]


def at_site(sae: SparseAutoencoder, site: str = "1.resid_post") -> SparseAutoencoder:
    sae.info = replace(sae.info, site=site)
    return sae


def latents_of(sae, tokens: MemoryTokens) -> np.ndarray:
    """Dense latents [rows d_sae] of all rows, float64."""
    return sae.encode(tokens.rows).double().numpy()


def corpus_of(n: int, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return Corpus(
        tuple(f"text number {i}" for i in range(n)),
        rng.permutation(labels),
        source=tuple("left" if i % 3 else "right" for i in range(n)),
        category=tuple("abc"[i % 3] for i in range(n)),
    )
