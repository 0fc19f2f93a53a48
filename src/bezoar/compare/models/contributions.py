"""What lowered the direction: toxic neurons, or a balance of all of them (Yang et al. 2025).

Yang et al. find that the dampened toxic neurons explain 2.5 % to 24 % of what DPO does; the rest is
spread over all MLP neurons. Their decomposition has eight groups, by whether a neuron's value
vector points along the direction (T, toxic) or against it (A), by the sign of its mean coefficient
in the base (P, N), and by whether that coefficient grew or shrank in size (+, -). Four of them
lower the projection, their mirrors raise it, and together they are all neurons.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from bezoar.compare.models.contribution_results import (
    LOWERING,
    RAISING,
    UNCHANGED,
    Contributions,
    CurvePoint,
    GroupChange,
    LayerChange,
    NeuronChange,
)
from bezoar.compare.models.neurons import NeuronReadings, read_neurons, value_readings
from bezoar.compare.models.passes import (
    Continuations,
    Reading,
    checked_draws,
    checked_prompts,
    readings,
)
from bezoar.compare.models.side import require_dense_mlps, sides_of
from bezoar.edits import Edit
from bezoar.errors import ConfigError, DataError
from bezoar.locate import Direction
from bezoar.locate.values import check_width
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress
from bezoar.stats.bootstrap import paired_difference, paired_ratio
from bezoar.stats.intervals import Interval
from bezoar.stats.nulls import null_p_value


@torch.no_grad()
def contributions(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    prompts: Sequence[str],
    direction: Direction,
    *,
    toxic: int = 128,
    draws: int = 39,
    continuations: Continuations = "own",
    new_tokens: int = 20,
    max_prompt_tokens: int | None = 32,
    written: tuple[Reading, Reading] | None = None,
    budget_tokens: int = 2048,
    seed: int = 0,
    progress: Progress | None = None,
) -> Contributions:
    """Split the change of Σ mlp_out · ŵ over all neurons of all layers (Yang et al. 2025).

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        prompts: texts to continue.
        direction: ŵ, such as the probe's.
        toxic: how many value vectors of largest cosine to ŵ (in the base) count as toxic.
        draws: random sets of as many neurons.
        continuations: "own", "shared" (the edited model's tokens on both sides) or "base".
        new_tokens: tokens generated after each prompt; means are over these positions.
        max_prompt_tokens: longer prompts keep their first tokens.
        written: what `readings` returned for these arguments, so that it is not generated again.
        budget_tokens: padded tokens of a batch.
        seed: of the bootstrap and of the random sets.
        progress: where to show it.

    Raises:
        UnsupportedAnatomy: if a layer has no neurons (a mixture of experts).
        DataError: if there are fewer than two prompts, or the direction has another width.
        ConfigError: if more toxic neurons are asked for than there are, ``draws`` is below 0, or
            ``max_prompt_tokens`` below 1.
        ModelError: if the models differ in shape or tokenizer.
    """
    prompts = checked_prompts(prompts)
    require_dense_mlps(base)
    check_width(base, direction.vector, direction.name)
    sides = sides_of(base, edited)
    unit = direction.vector.to(base.device, torch.float32)
    sets, order = _sets(base, unit, toxic, draws, seed)
    read = written or readings(
        *sides,
        prompts,
        continuations,
        new_tokens=new_tokens,
        max_prompt_tokens=max_prompt_tokens,
        progress=progress,
    )
    found = []
    for side, reading in zip(sides, read, strict=True):
        with side.opened() as lm:
            found.append(read_neurons(lm, reading, unit, sets, budget_tokens, progress))
    before, after = found
    neurons, groups, top = _by_neuron(before, after)
    share, random = _shares(before.by_set, after.by_set, seed)
    return Contributions(
        base_name=sides[0].name,
        edited_name=sides[1].name,
        direction=direction.name,
        measured=paired_difference(after.measured.sum(1), before.measured.sum(1), seed=seed),
        groups=groups,
        layers=_layers(before, after, seed),
        top=top,
        neurons_n=len(neurons),
        toxic_n=toxic,
        toxic_change=float(neurons[order[:toxic]].sum()),
        toxic_share=share,
        random_shares=random,
        null_p=None if share is None or not random else null_p_value(share.value, np.array(random)),
        curve=_curve(neurons[order]),
        continuations=continuations,
        prompts_n=len(prompts),
        new_tokens=new_tokens,
    )


def _sets(
    lm: LanguageModel, unit: Float[Tensor, " d_model"], toxic: int, draws: int, seed: int
) -> tuple[list[Float[Tensor, "d_mlp sets"]], np.ndarray]:
    """All neurons, the toxic ones, and random ones, by layer; and all neurons by falling cosine."""
    cosines = [cosine for _, cosine in value_readings(lm, unit)]
    flat = torch.cat(cosines).numpy()
    if not 1 <= toxic <= len(flat):
        raise ConfigError(
            f"{toxic} toxic neurons of {len(flat)}.", hint=f"Ask for 1 to {len(flat)}."
        )
    order = np.argsort(-flat, kind="stable")
    member = np.zeros((len(flat), 2 + checked_draws(draws)), dtype=np.float32)
    member[:, 0] = 1
    member[order[:toxic], 1] = 1
    rng = np.random.default_rng(seed)
    for draw in range(draws):
        member[rng.choice(len(flat), toxic, replace=False), 2 + draw] = 1
    return list(torch.from_numpy(member).split([len(c) for c in cosines])), order


def _by_neuron(
    before: NeuronReadings, after: NeuronReadings, keep: int = 20
) -> tuple[Float64[np.ndarray, " neurons"], tuple[GroupChange, ...], tuple[NeuronChange, ...]]:
    """The change of every neuron, layer after layer; the groups; the largest changes."""
    a, b = np.concatenate(before.coefficient), np.concatenate(after.coefficient)
    reading = np.concatenate(before.reading)
    change, moved = b * np.concatenate(after.reading) - a * reading, (b - a) * reading
    cosine = np.concatenate(before.cosine)
    names = group_names(cosine, a, b)
    every = (*LOWERING, *RAISING, UNCHANGED)
    groups = tuple(
        GroupChange(
            name,
            int((names == name).sum()),
            float(moved[names == name].sum()),
            float(change[names == name].sum()),
        )
        for name in every
    )
    layer = np.repeat(np.arange(len(before.cosine)), [len(c) for c in before.cosine])
    index = np.concatenate([np.arange(len(c)) for c in before.cosine])
    top = tuple(
        NeuronChange(
            int(layer[i]),
            int(index[i]),
            str(names[i]),
            *(float(column[i]) for column in (cosine, a, b, change)),
        )
        for i in np.argsort(-np.abs(change), kind="stable")[:keep].tolist()
    )
    return change, groups, top


def group_names(
    cosine: Float64[np.ndarray, " neurons"],
    before: Float64[np.ndarray, " neurons"],
    after: Float64[np.ndarray, " neurons"],
) -> np.ndarray:
    """The group of every neuron; each is in exactly one.

    "+" says that the coefficient moved away from zero. A cosine of exactly zero counts as A.
    """
    toxic, positive = cosine > 0, before >= 0
    away = np.where(positive, after > before, after < before)
    names = np.char.add(np.where(toxic, "T", "A"), np.where(positive, "P", "N"))
    names = np.char.add(names, np.where(away, "+", "-"))
    return np.where(after == before, UNCHANGED, names)


def _layers(before: NeuronReadings, after: NeuronReadings, seed: int) -> tuple[LayerChange, ...]:
    found = []
    for layer in range(len(before.cosine)):
        a, v = before.coefficient[layer], before.reading[layer]
        da, dv = after.coefficient[layer] - a, after.reading[layer] - v
        parts = float(da @ v), float(a @ dv), float(da @ dv)
        constant = float(after.constant[layer] - before.constant[layer])
        measured = paired_difference(after.measured[:, layer], before.measured[:, layer], seed=seed)
        rest = measured.value - sum(parts) - constant
        found.append(LayerChange(layer, measured, *parts, constant=constant, rest=rest))
    return tuple(found)


def _shares(
    before: Float64[np.ndarray, "prompts sets"],
    after: Float64[np.ndarray, "prompts sets"],
    seed: int,
) -> tuple[Interval | None, tuple[float, ...]]:
    """Shares of the whole change: of the toxic neurons, with interval, and of the random ones."""
    change = after - before
    whole = change[:, 0]
    sign = 1.0 if whole.sum() > 0 else -1.0
    try:
        share = paired_ratio(sign * change[:, 1], sign * whole, seed=seed)
    except DataError:  # the whole change may be zero
        return None, ()
    return share, tuple((change[:, 2:].sum(0) / whole.sum()).tolist())


def _curve(falling: Float64[np.ndarray, " neurons"]) -> tuple[CurvePoint, ...]:
    """Shares for 1, 2, 4, … neurons of falling cosine, and for all."""
    total = float(falling.sum())
    if total == 0:
        return ()
    sums = np.cumsum(falling)
    counts = sorted({2**i for i in range(len(falling).bit_length())} | {len(falling)})
    return tuple(CurvePoint(n, float(sums[n - 1]) / total) for n in counts)
