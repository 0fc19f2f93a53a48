"""What clusters of a layer must beat: its neurons, one by one and the best, and linear readers.

All are fitted to the training texts, whose labels also choose (a neuron, a sign, a cut), and decide
on the test texts, which choose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from bezoar.locate.clusters import halved
from bezoar.locate.layer_results import MeanNeuron
from bezoar.locate.probe import LinearProbe, MeanDifferenceProbe
from bezoar.locate.probe_base import balanced_threshold
from bezoar.locate.sweep_inputs import Task
from bezoar.stats import Placements, auroc, separate_columns

Rows = tuple[Float[np.ndarray, "train d"], Float[np.ndarray, "test d"]]
"""Rows of the training and of the test texts."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What something says of the test texts.

    Attributes:
        decisions: [test] larger for the behaviour.
        hard: [test] whether it says so.
        chosen_by: its AUROC on the training texts, by which a layer may be chosen.
        unit: number of the neuron, if it is one.
    """

    decisions: Float64[np.ndarray, " test"]
    hard: Bool[np.ndarray, " test"]
    chosen_by: float
    unit: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MeanNeurons:
    """Placements of the test texts by all neurons of a layer; see `MeanNeuron`."""

    units: int
    plain: Placements
    signed: Placements
    halved: Placements

    def told(self) -> MeanNeuron:
        three = (one.interval() for one in (self.plain, self.signed, self.halved))
        return MeanNeuron(self.units, *three)


def linear_readers(task: Task, rows: Rows) -> dict[str, Verdicts]:
    """The probe and the mean difference, each cut where held-out training decisions say."""
    found = {}
    kinds = {"probe": LinearProbe, "mean difference": MeanDifferenceProbe}
    for name, kind in kinds.items():
        probe = kind(folds=task.folds, random_state=task.seed)
        probe.fit(rows[0], task.train_labels, task.groups)
        decisions = probe.decision_function(rows[1]).astype(np.float64)
        hard = decisions >= probe.balanced_threshold_
        found[name] = Verdicts(decisions, hard, auroc(probe.held_out_, task.train_labels))
    return found


def neuron_readers(
    task: Task, groups: list[int], rows: Rows
) -> tuple[dict[str, Verdicts], MeanNeurons]:
    """Neurons alone: the best of them, the best when cut in two without labels, and the mean.

    Args:
        task: texts and labels.
        groups: of the test texts, for intervals.
        rows: coefficients.
    """
    train, test = (part.astype(np.float64) for part in rows)
    y, labels = task.train_labels, task.test_labels
    alone = separate_columns(train, y).auroc
    signs = np.where(alone < 0.5, -1.0, 1.0)
    cuts = halved(train)
    above = train > cuts
    agree = (above[y == 1].mean(axis=0) - above[y == 0].mean(axis=0) + 1) / 2
    sides = np.where(agree < 0.5, -1.0, 1.0)
    parted = (test > cuts).astype(np.float64)
    mean = MeanNeurons(
        units=train.shape[1],
        plain=Placements.of(test, labels, groups),
        signed=Placements.of(test, labels, groups, signs=signs),
        halved=Placements.of(parted, labels, groups, signs=sides),
    )
    best = int(np.abs(alone - 0.5).argmax())
    decisions = signs[best] * test[:, best]
    cut = balanced_threshold(signs[best] * train[:, best], y)
    told = float(np.abs(alone - 0.5).max()) + 0.5
    twin = int(np.abs(agree - 0.5).argmax())
    side = parted[:, twin] == (sides[twin] > 0)
    return {
        "best neuron": Verdicts(decisions, decisions >= cut, told, best),
        "best neuron, halved": Verdicts(
            side.astype(np.float64), side, float(np.abs(agree - 0.5).max()) + 0.5, twin
        ),
    }, mean
