"""Does it matter which directions of the unembedding are damped? The edits to ask with.

`arms` are the directions that toxic states differ in (as stated, as in the paper, as in its
program), the strongest and the weakest ones, a shrink of everything, the plain rank-one projection
of the mean difference, and random directions. `choices_at` takes all at one α, as the paper does;
`at_cost` takes each as far as costs the same perplexity, for at one α they are not equally dear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bezoar.edits import ActivationEdit, Edit, Gate, Project
from bezoar.evaluate.eigen_results import EigenSpectrum
from bezoar.locate import ToxicStates, Unembedding
from bezoar.mitigate.eigenshift import EigenShift, direction_scores, eigen_edit
from bezoar.models import Site
from bezoar.runs.results import one_line

RANDOM = "random"
SHRINK = "uniform shrink"
MEAN = "mean difference"
_SITE = Site(None, "unembed_in")
_NONE = torch.zeros(0, dtype=torch.long)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Choice:
    """An edit of the unembedding to be measured.

    Attributes:
        name: for tables; draws are "random 0", "random 1", ….
        edit: at ``unembed_in``.
        alpha, size: as in an `EigenPoint`.
        chosen: the directions, none where all are changed alike.
    """

    name: str
    edit: ActivationEdit
    alpha: float
    size: float
    chosen: Int[Tensor, " k"]

    __repr__ = one_line


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Arm:
    """A way to edit the unembedding that does more as its strength rises.

    Attributes:
        name: as in `Choice`.
        make: the edit at a strength, 1 − α where directions are scaled.
        limit: the largest strength that is tried to reach a cost.
    """

    name: str
    make: Callable[[float], Choice]
    limit: float = 3.0

    __repr__ = one_line


def arms(
    parts: Unembedding,
    states: ToxicStates,
    k: int,
    *,
    draws: int = 39,
    seed: int = 0,
    published: ToxicStates | None = None,
) -> list[Arm]:
    """All ways that are held against each other, "correct" first and random draws last.

    Args:
        parts: of the unembedding.
        states: toxic ones and others.
        k: how many directions; more than half of all leave the published program fewer.
        draws: random choices.
        seed: of the draws; more draws extend fewer.
        published: states collected as the published program does, for one more choice.
    """
    d = len(parts)
    chosen = {
        "correct": EigenShift(k=k).choose(parts, states),
        "correct, σ-weighted": EigenShift(k=k, score="sigma").choose(parts, states),
        "paper (signed)": EigenShift(k=k, mode="paper").choose(parts, states),
        "code (transposed)": EigenShift(k=k, mode="code").choose(parts, states),
    }
    if published is not None:
        chosen["code, and its states"] = EigenShift(k=k, mode="code").choose(parts, published)
    chosen["strongest directions"] = torch.arange(k)
    chosen["weakest directions"] = torch.arange(d - k, d)
    found = [Arm(name, partial(scaled, parts, name, rows)) for name, rows in chosen.items()]
    unit = torch.nn.functional.normalize(states.difference.double(), dim=0)
    found.append(Arm(SHRINK, partial(_shrunk, d), limit=0.99))
    found.append(Arm(MEAN, partial(_without, parts, unit, MEAN), limit=30.0))
    for i in range(draws):
        rows = torch.from_numpy(np.random.default_rng([seed, i]).permutation(d)[:k])
        found.append(Arm(f"{RANDOM} {i}", partial(scaled, parts, f"{RANDOM} {i}", rows)))
    return found


def scaled(parts: Unembedding, name: str, chosen: Int[Tensor, " k"], strength: float) -> Choice:
    """Some directions scaled by α = 1 − strength."""
    size = abs(strength) * float(parts.singular_values[chosen].norm()) / parts.norm
    edit = eigen_edit(parts, chosen, 1 - strength, name=name)
    return Choice(name, edit, 1 - strength, size, chosen)


def _shrunk(d: int, strength: float) -> Choice:
    """All of W_U times (1 − strength), which is a higher temperature."""
    edit = ActivationEdit.at([_SITE], Gate(torch.full((d,), 1 - strength)), name=SHRINK)
    return Choice(SHRINK, edit, 1 - strength, abs(strength), _NONE)


def _without(
    parts: Unembedding, unit: Float[Tensor, " d_model"], name: str, strength: float
) -> Choice:
    """The mean difference projected out, by so much."""
    along = float(((parts.directions @ unit) * parts.singular_values).norm()) / parts.norm
    edit = ActivationEdit.at([_SITE], Project(unit[None].float(), strength), name=name)
    return Choice(name, edit, 1 - strength, abs(strength) * along, _NONE)


def choices_at(ways: Sequence[Arm], alpha: float) -> list[Choice]:
    """Every way at one α; a shrink of everything, and once more the rank-one projection, at the
    size that "correct" has there."""
    made: list[Choice] = []
    for arm in ways:
        if arm.name == SHRINK:
            made.append(replace(arm.make(made[0].size), name=f"{SHRINK}, equal size"))
            continue
        made.append(arm.make(1 - alpha))
        if arm.name == MEAN:
            equal = arm.make((1 - alpha) * made[0].size / made[-1].size)
            made.append(replace(equal, name=f"{MEAN}, equal size"))
    return made


def at_cost(
    arm: Arm, cost: Callable[[Edit], float], target: float, *, evaluations: int = 8
) -> Choice:
    """One way at the strength whose cost is nearest to ``target``, within a twentieth of it.

    The square root of a cost is nearly linear in the strength, so a few steps are enough. A way
    that does not cost so much at its limit is taken there.
    """
    low, high = (0.0, 0.0), (math.inf, math.inf)  # strength, √cost
    aim, strength = math.sqrt(target), min(0.5, arm.limit)
    tried: list[tuple[float, float]] = []
    for _ in range(evaluations):
        seen = cost(arm.make(strength).edit)
        root = math.sqrt(max(seen, 0.0)) if math.isfinite(seen) else math.inf
        tried.append((abs(root - aim), -strength))
        if abs(root - aim) <= 0.025 * aim or (root < aim and strength >= arm.limit):
            break
        low, high = ((strength, root), high) if root < aim else (low, (strength, root))
        if not math.isfinite(high[0]):
            strength = min(arm.limit, strength * min(max(aim / max(root, 1e-9), 1.2), 4.0))
        else:
            rise = (high[1] - low[1]) if math.isfinite(high[1]) else 2 * aim
            share = min(max((aim - low[1]) / rise, 0.1), 0.9)
            strength = low[0] + share * (high[0] - low[0])
    return arm.make(-min(tried)[1])  # of equals the strongest


def spectrum(
    parts: Unembedding, states: ToxicStates, k: int, *, draws: int = 39, seed: int = 0
) -> EigenSpectrum:
    """Where in the spectrum the states differ, and how much of that k directions catch."""
    delta = direction_scores(parts, states.difference, "signed")
    ours, theirs = (
        EigenShift(k=k, mode=mode).choose(parts, states) for mode in ("correct", "code")
    )
    null = torch.stack(
        [direction_scores(parts, states.shuffled(seed + i).difference) for i in range(draws)]
    )
    share = delta.square() / delta.square().sum()
    captured = {"correct": float(share[ours].sum()), "code": float(share[theirs].sum())}
    return EigenSpectrum(
        sigma=tuple(parts.singular_values.tolist()),
        delta=tuple(delta.tolist()),
        null_high=tuple(null.quantile(0.95, dim=0).tolist()),
        k=k,
        chosen=tuple(ours.tolist()),
        published=tuple(theirs.tolist()),
        captured=captured | {"chance": k / len(parts)},
        states=(len(states.toxic), len(states.other)),
    )
