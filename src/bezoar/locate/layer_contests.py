"""What all layers say together: the place of each among them, and clusters against their rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.stats import rankdata

from bezoar.locate.layer_measure import Measured
from bezoar.locate.layer_readers import MeanNeurons, Verdicts
from bezoar.locate.layer_results import Contest, LayerRanks, LayerScore
from bezoar.stats import Placements

_RANK_DRAWS = 50  # resamples whose ranks are kept
_CRITERIA = ("k-means", "hierarchical", "silhouette", "best neuron", "mean difference", "probe")


@dataclass(frozen=True, slots=True, eq=False)
class FoundLayer:
    """One layer: what is told of it, and what ranks and contests need of it.

    Attributes:
        score: what is told.
        criteria: what layers are ranked by.
        verdicts: of clusters, neurons and linear readers.
        placed: placements of the test texts by the k-means clusters.
        neurons: placements by all neurons.
        null: of the k-means clusters.
    """

    score: LayerScore
    criteria: dict[str, Measured]
    verdicts: dict[str, Verdicts]
    placed: dict[str, Placements]
    neurons: MeanNeurons
    null: Float64[np.ndarray, " draws"]


def ranks(found: Sequence[FoundLayer]) -> tuple[LayerRanks, ...]:
    """By each criterion that every layer has."""
    told = []
    for name in _CRITERIA:
        if any(name not in one.criteria for one in found):
            continue
        values = np.array([one.criteria[name][0] for one in found])
        drawn = np.stack([one.criteria[name][1][:_RANK_DRAWS] for one in found], axis=1)
        kept = drawn[np.isfinite(drawn).all(axis=1)]
        draws = tuple(tuple(_ranked(row).tolist()) for row in kept)
        told.append(LayerRanks(name, tuple(_ranked(values).tolist()), draws))
    return tuple(told)


def _ranked(values: Float[np.ndarray, " layers"]) -> Float64[np.ndarray, " layers"]:
    """0 for the least, 1 for the largest; ties share the mean, and so does a layer alone."""
    n = len(values)
    ranks: np.ndarray = (rankdata(values) - 1) / (n - 1) if n > 1 else np.array([0.5])
    return ranks


_ALIKE = "cut in two without labels"
"""How a rival is called that is treated as a layer is."""

_CHOSEN = {
    "best neuron, halved": f"best neuron, {_ALIKE}",
    "best neuron": "best neuron, cut by its labels",
    "mean difference": "mean difference",
    "probe": "linear probe",
}


def contests(found: Sequence[FoundLayer], length: Placements) -> tuple[Contest, ...]:
    """All layers against all neurons; then the best of each, chosen on the training texts.

    Args:
        found: the layers.
        length: placements by the texts' lengths, cut in two without labels.
    """
    clusters = Placements.mean([one.placed["k-means"] for one in found])
    rivals = {
        "mean neuron, as published": [one.neurons.plain for one in found],
        "mean neuron, its sign said by the labels": [one.neurons.signed for one in found],
        f"mean neuron, {_ALIKE}": [one.neurons.halved for one in found],
    }
    told = []
    for name, parts in rivals.items():
        all_neurons = Placements.mean(parts)
        told.append(_contest("mean of layers", name, clusters, all_neurons))
    best = _best(found, "k-means").placed["k-means"]
    for key, name in _CHOSEN.items():
        rival = _best(found, key).placed[key]
        told.append(_contest("best layer", name, best, rival))
    told.append(_contest("best layer", f"text length, {_ALIKE}", best, length))
    return tuple(told)


def _best(found: Sequence[FoundLayer], name: str) -> FoundLayer:
    """The layer where something does best on the training texts."""
    return max(found, key=lambda one: one.verdicts[name].chosen_by)


def _contest(layers: str, rival: str, a: Placements, b: Placements) -> Contest:
    alike = rival.endswith(_ALIKE)
    return Contest(layers, rival, alike, a.interval(), b.interval(), a.minus(b))
