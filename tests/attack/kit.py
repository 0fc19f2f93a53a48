"""Remedies and a quick stand-in for toxicity on tiny models."""

from __future__ import annotations

import numpy as np
import torch

from bezoar.attack import Measured
from bezoar.corpus import Corpus
from bezoar.edits import Dense, WeightEdit
from bezoar.scoring import applied
from tests.edits.kit import batch, noise
from tests.mitigate.kit import TEXTS

CORPUS = Corpus(TEXTS * 3, np.array([1, 0, 1, 0] * 3, dtype=np.int8))


def state(lm):
    """A copy of every parameter under every name it has."""
    named = lm.model.named_parameters(remove_duplicate=False)
    return {name: parameter.detach().clone() for name, parameter in named}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def weight_remedy(lm, scale: float = 0.05) -> WeightEdit:
    """A dense change of two matrices that write into the stream."""
    deltas = {}
    for layer in (0, lm.n_layers - 1):
        module = lm.anatomy[layer].part("w_out")
        name = lm.parameter_name(module, "weight")
        deltas[name] = Dense(noise(*module.weight.shape, seed=layer, scale=scale))
    return WeightEdit(deltas, name="remedy")


def word_measure(lm):
    """Toxicity: the probability of one token after each text. Linear in nothing, quick, exact."""
    rows = batch(lm, "left")

    def measure(edit):
        with applied(edit, lm), torch.no_grad():
            shares = lm.logits(rows)[:, -1].softmax(-1)
        value = shares[:, 100:140].sum(-1)
        return Measured(tuple(value.double().tolist()), 10.0)

    return measure


def scripted(base, edited, attacked, perplexity=10.0):
    """A measure that knows edits by name: a list of toxicities for each."""

    def measure(edit):
        if edit is None:
            return Measured(tuple(base), 10.0)
        for part in reversed(getattr(edit, "edits", (edit,))):
            if part.name in attacked:
                found = attacked[part.name]
                return found if isinstance(found, Measured) else Measured(tuple(found), perplexity)
        return Measured(tuple(edited), 10.0)

    return measure
