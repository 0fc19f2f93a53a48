"""Inputs for methods on tiny models."""

from __future__ import annotations

import numpy as np

from bezoar.corpus import Corpus
from bezoar.locate import Direction, rank_values
from bezoar.locate.svd import value_svd
from bezoar.mitigate import FitInputs
from bezoar.models import LanguageModel, Site
from tests.edits.kit import noise

TEXTS = (
    "you are a fool and a stupid man",
    "the tree is good and the river is lovely",
    "idiot that you are you know it",
    "people think that night is not day",
)


def last_post(lm: LanguageModel) -> Site:
    return Site(lm.n_layers - 1, "resid_post")


def inputs(lm: LanguageModel, site: Site | None = None) -> FitInputs:
    site = site or last_post(lm)
    probe = Direction.of(5 * noise(lm.d_model, seed=1), site, pooling="mean", trained_on="abc")
    ranking = rank_values(lm, probe, 12)
    rng = np.random.default_rng(0)
    return FitInputs(
        probe=probe,
        mean_difference=Direction.of(noise(lm.d_model, seed=2), site, name="mean difference"),
        values=ranking,
        svd=value_svd(lm, ranking, direction=probe).first(4),
        words=("fool", "idiot", "stup*"),
        corpus=Corpus(TEXTS * 3, np.array([1, 0, 1, 0] * 3, dtype=np.int8)),
        rows=rng.standard_normal((40, lm.d_model)).astype(np.float32),
        labels=np.arange(40) % 2,
    )
