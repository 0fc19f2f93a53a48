"""Inputs for methods that are fitted from moments or pairs, on tiny models."""

from __future__ import annotations

import dataclasses

import numpy as np

from bezoar.locate import collect_moments
from bezoar.mitigate import FitInputs
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from tests.families import WORDS
from tests.mitigate.kit import inputs

POINTS = ("attn_out", "mlp_out", "mlp_post")


def texts_and_labels(n: int = 40, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of random words; those labelled 1 hold more of the unkind ones."""
    rng = np.random.default_rng(seed)
    unkind = ["fool", "idiot", "stupid", "rotten"]
    labels = np.arange(n) % 2
    words = [
        [*rng.choice(WORDS, 6), *rng.choice(unkind if label else WORDS, 4)] for label in labels
    ]
    return [" ".join(rng.permutation(row)) for row in words], labels


def moments_inputs(lm: LanguageModel, draws: int = 5) -> FitInputs:
    """As `tests.mitigate.kit.inputs`, with moments of both classes."""
    texts, labels = texts_and_labels()
    moments = collect_moments(
        lm, texts, labels, points=POINTS, draws=draws, trained_on="abc", max_tokens=32
    )
    return dataclasses.replace(inputs(lm), moments=moments)


def word_pairs(n: int = 30, seed: int = 0) -> Pairs:
    """Pairs of one prompt each, whose rejected sides hold the unkind words."""
    texts, labels = texts_and_labels(2 * n, seed)
    chosen = tuple(f" {t}" for t, label in zip(texts, labels, strict=True) if not label)
    rejected = tuple(f" {t}" for t, label in zip(texts, labels, strict=True) if label)
    return Pairs(tuple(f"number {i}" for i in range(n)), chosen, rejected)


def pairs_inputs(lm: LanguageModel, n: int = 30) -> FitInputs:
    """As `tests.mitigate.kit.inputs`, with preference pairs."""
    return dataclasses.replace(inputs(lm), pairs=word_pairs(n))
