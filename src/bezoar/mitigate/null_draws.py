"""Inputs without signal for methods that are fitted from pairs, moments or latents."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from bezoar.locate.moments import UnitMoments
from bezoar.mitigate.method import FitInputs
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from bezoar.sae.profile import LatentProfile
from bezoar.stats import shuffled_labels


def mismatched_pairs(
    lm: LanguageModel, inputs: FitInputs, n: int, seed: int
) -> Iterator[FitInputs]:
    """Every chosen side beside the rejected side of another prompt."""
    pairs: Pairs = inputs.need("pairs", "a null of mismatched pairs")
    for i in range(n):
        # A random cycle through all pairs: no rejected side stays with its prompt.
        order = np.random.default_rng([seed, i]).permutation(len(pairs))
        other = np.empty_like(order)
        other[order] = np.roll(order, 1)
        swapped = pairs.take(other)
        drawn = dataclasses.replace(
            pairs,
            rejected=swapped.rejected,
            rejected_score=swapped.rejected_score,
            name=f"{pairs.name}, mismatched",
            provenance={**pairs.provenance, "null": "mismatched-pairs"},
        )
        yield dataclasses.replace(inputs, pairs=drawn)


def random_subspace(lm: LanguageModel, inputs: FitInputs, n: int, seed: int) -> Iterator[FitInputs]:
    """Pairs marked so that a method draws its subspace at random instead of fitting it."""
    pairs: Pairs = inputs.need("pairs", "a null of random subspaces")
    for i in range(n):
        told = {**pairs.provenance, "null": "random-subspace", "seed": seed + i}
        yield dataclasses.replace(inputs, pairs=dataclasses.replace(pairs, provenance=told))


def shuffled_moments(
    lm: LanguageModel, inputs: FitInputs, n: int, seed: int
) -> Iterator[FitInputs]:
    """The moments of permuted labels, which were gathered with the real ones."""
    moments: UnitMoments = inputs.need("moments", "a null of shuffled moments")
    for i in range(n):
        drawn = inputs.corpus
        if drawn is not None:  # what a method reads again, it reads with labels that say nothing
            labels = shuffled_labels(drawn.labels, n, seed)[i]
            drawn = dataclasses.replace(drawn, labels=labels)
        yield dataclasses.replace(inputs, moments=moments.shuffled(i), corpus=drawn)


def random_latents(lm: LanguageModel, inputs: FitInputs, n: int, seed: int) -> Iterator[FitInputs]:
    """A profile marked so that a method takes other latents, as dense as those it chooses."""
    profile: LatentProfile = inputs.need("latents", "a null of random latents")
    for i in range(n):
        own = int(np.random.SeedSequence([seed, i]).generate_state(1)[0])
        yield dataclasses.replace(inputs, latents=profile.at_random(own))
