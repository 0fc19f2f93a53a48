"""Toxic states for tests of EigenShift."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from bezoar.locate import Unembedding
from bezoar.locate.produced import Produced
from bezoar.locate.states import StatesFound, ToxicStates
from bezoar.mitigate import EigenShift, FitInputs
from tests.edits.kit import noise


def states_between(toxic: Tensor, other: Tensor) -> ToxicStates:
    """Two sets of states, all produced at position 1."""
    found = StatesFound("correct", 9, 5, len(toxic), {}, 20, 1, 1, 0, "s", "gradient", "", "", "p")
    rows = tuple(Produced(i, 1, 7) for i in range(len(toxic) + len(other)))
    return ToxicStates(toxic, other, rows[: len(toxic)], rows[len(toxic) :], found)


def states_along(vector: Tensor, n: int = 12, seed: int = 0) -> ToxicStates:
    """Φ = Ψ + vector: the same states, shifted."""
    other = noise(n, len(vector), seed=seed)
    return states_between((other.double() + vector).float(), other)


def random_states(lm, seed: int = 0) -> ToxicStates:
    return states_between(noise(9, lm.d_model, seed=seed), noise(7, lm.d_model, seed=seed + 99))


def eigen_inputs(lm, seed: int = 0) -> FitInputs:
    return FitInputs(states=random_states(lm, seed))


def edited(lm, **options):
    """The edit of random states; fields of `EigenShift` by name."""
    return EigenShift(**options).fit(lm, eigen_inputs(lm))


def mirrored(parts: Unembedding, seed: int = 0) -> Unembedding:
    """The same decomposition with other signs of its vectors."""
    signs = noise(len(parts), 1, seed=seed).sign().double()
    return dataclasses.replace(parts, directions=signs * parts.directions)
