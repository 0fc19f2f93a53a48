"""Nulls for methods: the same method, fitted from inputs that carry no signal (design rule 4).

A null is not another edit but other *inputs*, so it runs through the same code, at the same norm
(`Method.nulls`) or at the same cost (`nulls_at_cost`). A remedy that does not beat its nulls has
shown that damage of its size lowers toxicity, not that it found anything.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from bezoar.edits import Edit
from bezoar.errors import ConfigError, did_you_mean
from bezoar.locate import Direction, Subspace, ToxicStates, ValueEntry, ValueRanking, rank_values
from bezoar.locate.experts import NeuronExperts
from bezoar.locate.probe import LinearProbe, MeanDifferenceProbe
from bezoar.locate.svd import value_svd
from bezoar.mitigate.budget import Fitted, fit_to_budget
from bezoar.mitigate.method import FitInputs, Method
from bezoar.mitigate.null_draws import (
    mismatched_pairs,
    random_latents,
    random_subspace,
    shuffled_moments,
)
from bezoar.models import LanguageModel, Site
from bezoar.pairs import Pairs
from bezoar.stats import random_directions, shuffled_labels

_LEAST_COST = 0.001
_NEAR = 20  # words to draw from, nearest in frequency


def null_inputs(
    kind: str, lm: LanguageModel, inputs: FitInputs, n: int, seed: int
) -> Iterator[FitInputs]:
    """``n`` draws of inputs without signal; more draws extend fewer of the same seed.

    Each has a ``work`` folder of its own, if the inputs have one.

    Args:
        kind: "random-direction" (uniform on the sphere, of the original norm; an SVD becomes a
            random subspace), "shuffled-labels" (the probe, and what follows from it, refitted to
            permuted labels), "random-values" (value vectors of random neurons, and their SVD),
            "random-words" (other words of the corpus, of matched frequency), "shuffled-pairs"
            (the sides of a random half of the pairs exchanged), "mismatched-pairs" (every chosen
            side beside the rejected side of another prompt), "random-subspace" (for methods that
            make one of the pairs), "shuffled-moments" (those of permuted labels), "random-choices"
            (toxic states that differ from others along a random direction, so that the scores of
            singular directions rank them at random), "shuffled-states" (their labels permuted),
            "permuted-gates" (scores of units given to other units of their site),
            "shuffled-experts" (units scored under shuffled labels) or "random-latents" (of an
            autoencoder, as dense as those that the method chooses).
        lm: the model.
        inputs: the real ones.
        n: how many.
        seed: of the draws.

    Raises:
        ConfigError: for an unknown kind, or if an input that it needs is missing.
    """
    if kind not in _KINDS:
        raise ConfigError(f"There is no null of kind {kind!r}.", hint=did_you_mean(kind, _KINDS))
    for i, drawn in enumerate(_KINDS[kind](lm, inputs, n, seed)):
        work = None if inputs.work is None else inputs.work / f"{kind}-{i}"
        yield dataclasses.replace(drawn, work=work)


def nulls_at_cost(
    lm: LanguageModel,
    method: Method,
    inputs: FitInputs,
    cost: Callable[[Edit], float],
    target: float,
    n: int,
    seed: int,
    *,
    kind: str | None = None,
    max_evaluations: int = 8,
) -> Iterator[Fitted]:
    """``n`` null edits, each searched from the method's own strength until it costs ``target``.

    Args:
        lm, method, inputs: what the nulls are of.
        cost: as in `fit_to_budget`.
        target: what the method's own edit costs. One below 0.1 % is taken for 0.1 %, which noise
            alone may cost: a null may then spend more than the method, and never less.
        n, seed, kind: as in `null_inputs`; the method's main kind if None.
        max_evaluations: of the cost, for each null.

    Raises:
        ConfigError: if no kind is given and the method has none.
    """
    for drawn in null_inputs(kind or method.main_null(), lm, inputs, n, seed):
        yield fit_to_budget(
            lm,
            method,
            drawn,
            cost,
            max(target, _LEAST_COST),
            max_evaluations=max_evaluations,
            start=method.strength,
        )


def _random_direction(
    lm: LanguageModel, inputs: FitInputs, n: int, seed: int
) -> Iterator[FitInputs]:
    rows = torch.from_numpy(random_directions(n, lm.d_model, 1.0, seed))
    for i, row in enumerate(rows):
        yield dataclasses.replace(
            inputs,
            probe=_turned(inputs.probe, row),
            mean_difference=_turned(inputs.mean_difference, row),
            svd=_random_subspace(inputs.svd, row, seed + i),
            moments=None if inputs.moments is None else inputs.moments.turned(seed + i),
        )


def _turned(direction: Direction | None, unit: torch.Tensor) -> Direction | None:
    if direction is None:
        return None
    return dataclasses.replace(direction, vector=unit, trained_on="", name="random direction")


def _random_subspace(space: Subspace | None, first: torch.Tensor, seed: int) -> Subspace | None:
    if space is None:
        return None
    others = random_directions(len(space) - 1, len(first), 1.0, seed + 1_000_003)
    columns = torch.cat([first[None], torch.from_numpy(others)]).T.double()
    basis, triangle = torch.linalg.qr(columns)
    basis = (basis * triangle.diagonal().sign()).T.float().contiguous()
    return dataclasses.replace(space, basis=basis, trained_on="", name="random subspace")


def _shuffled_labels(
    lm: LanguageModel, inputs: FitInputs, n: int, seed: int
) -> Iterator[FitInputs]:
    rows, labels = (inputs.need(name, "a null of shuffled labels") for name in ("rows", "labels"))
    probe: Direction = inputs.need("probe", "a null of shuffled labels")
    for shuffled in shuffled_labels(labels, n, seed):
        # One penalty and no folds: only the direction matters here, not its decisions.
        linear = LinearProbe(l2=0.01, folds=1).fit(rows, shuffled)
        means = MeanDifferenceProbe(folds=1).fit(rows, shuffled)
        label = "shuffled labels"
        direction = linear.direction(probe.site, pooling=probe.pooling, name=label)
        drawn = dataclasses.replace(
            inputs,
            # At the norm of the real one: a null differs in where it points, nowhere else.
            probe=dataclasses.replace(direction, norm=probe.norm),
            mean_difference=_turned(
                inputs.mean_difference,
                means.direction(probe.site, pooling=probe.pooling, name=label).vector,
            ),
        )
        if inputs.values is not None:
            ranking = rank_values(lm, direction, len(inputs.values), mode=inputs.values.mode)
            drawn = _with_values(lm, drawn, ranking, direction)
        yield drawn


def _with_values(
    lm: LanguageModel, inputs: FitInputs, ranking: ValueRanking, direction: Direction
) -> FitInputs:
    """The inputs with other value vectors, and with their SVD if there was one."""
    svd = inputs.svd
    if svd is not None:
        found = value_svd(lm, ranking, direction=direction).first(len(svd))
        svd = dataclasses.replace(found, site=svd.site)
    return dataclasses.replace(inputs, values=ranking, svd=svd)


def _random_values(lm: LanguageModel, inputs: FitInputs, n: int, seed: int) -> Iterator[FitInputs]:
    real: ValueRanking = inputs.need("values", "a null of random value vectors")
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        places = rng.choice(lm.n_layers * lm.d_mlp, size=len(real), replace=False)
        entries = tuple(
            _entry(lm, rank, *divmod(int(place), lm.d_mlp)) for rank, place in enumerate(places)
        )
        ranking = dataclasses.replace(real, entries=entries, direction="random value vectors")
        # Towards their own mean: summed in one way, their signs are not those of the real ones.
        mean = ranking.vectors(lm).mean(dim=0)
        site = inputs.svd.site if inputs.svd is not None else Site(lm.n_layers - 1, "mlp_out")
        towards = Direction.of(mean, site, name="random value vectors")
        yield _with_values(lm, inputs, ranking, towards)


def _entry(lm: LanguageModel, rank: int, layer: int, index: int) -> ValueEntry:
    return ValueEntry(rank, layer, index, 0.0, float(lm.values(layer)[index].norm()))


def _random_words(lm: LanguageModel, inputs: FitInputs, n: int, seed: int) -> Iterator[FitInputs]:
    words: tuple[str, ...] = inputs.need("words", "a null of random words")
    corpus = inputs.need("corpus", "a null of random words")
    counts = Counter(
        w for text in corpus.texts for w in re.findall(r"[^\W\d_]{2,}", text.casefold())
    )
    banned = tuple(word.rstrip("*").casefold() for word in words)
    others = sorted(word for word in counts if not word.startswith(banned))
    if len(others) < len(words):
        raise ConfigError(
            f"The corpus has {len(others)} words to stand for {len(words)} banned ones.",
            hint="Give a larger corpus.",
        )
    size = np.log1p([counts[word] for word in others])
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        free = np.ones(len(others), dtype=bool)
        drawn: list[str] = []
        for word in banned:
            distance = np.where(free, np.abs(size - np.log1p(counts[word])), np.inf)
            near = np.argsort(distance, kind="stable")[: min(_NEAR, int(free.sum()))]
            pick = int(rng.choice(near))
            free[pick] = False
            drawn.append(others[pick])
        yield dataclasses.replace(inputs, words=tuple(drawn))


def _shuffled_pairs(lm: LanguageModel, inputs: FitInputs, n: int, seed: int) -> Iterator[FitInputs]:
    pairs: Pairs = inputs.need("pairs", "a null of shuffled pairs")
    for i in range(n):
        exchanged = np.random.default_rng([seed, i]).permutation(len(pairs)) % 2 == 1
        yield dataclasses.replace(inputs, pairs=_exchanged(pairs, exchanged))


def _exchanged(pairs: Pairs, rows: np.ndarray) -> Pairs:
    """The pairs with some rows' sides exchanged, marked as a null."""
    other = pairs.swapped()

    changed: dict[str, Any] = {
        "name": f"{pairs.name}, shuffled",
        "provenance": {**pairs.provenance, "null": "shuffled-pairs"},
    }
    for name in ("chosen", "rejected", "chosen_score", "rejected_score"):
        if (here := getattr(pairs, name)) is not None:
            there = getattr(other, name)
            changed[name] = tuple(
                b if row else a for a, b, row in zip(here, there, rows, strict=True)
            )
    return dataclasses.replace(pairs, **changed)


def _random_choices(lm: LanguageModel, inputs: FitInputs, n: int, seed: int) -> Iterator[FitInputs]:
    """In any orthonormal basis the coordinates of a random direction are ranked at random."""
    states: ToxicStates = inputs.need("states", "a null of random choices")
    real = states.difference
    norm = float(real.norm())
    for row in torch.from_numpy(random_directions(n, len(real), norm, seed)):
        drawn = dataclasses.replace(states, toxic=states.toxic + (row - real))
        yield dataclasses.replace(inputs, states=drawn)


def _shuffled_states(
    lm: LanguageModel, inputs: FitInputs, n: int, seed: int
) -> Iterator[FitInputs]:
    states: ToxicStates = inputs.need("states", "a null of shuffled states")
    for i in range(n):
        own = int(np.random.SeedSequence([seed, i]).generate_state(1)[0])
        yield dataclasses.replace(inputs, states=states.shuffled(own))


def _permuted_gates(lm: LanguageModel, inputs: FitInputs, n: int, seed: int) -> Iterator[FitInputs]:
    experts: NeuronExperts = inputs.need("experts", "a null of permuted gates")
    for i in range(n):
        yield dataclasses.replace(inputs, experts=experts.permuted(seed, i))


def _shuffled_experts(
    lm: LanguageModel, inputs: FitInputs, n: int, seed: int
) -> Iterator[FitInputs]:
    experts: NeuronExperts = inputs.need("experts", "a null of shuffled experts")
    for i in range(n):
        yield dataclasses.replace(inputs, experts=experts.under_shuffle(i))


_KINDS: dict[str, Callable[[LanguageModel, FitInputs, int, int], Iterator[FitInputs]]] = {
    "random-direction": _random_direction,
    "shuffled-labels": _shuffled_labels,
    "random-values": _random_values,
    "random-words": _random_words,
    "shuffled-pairs": _shuffled_pairs,
    "mismatched-pairs": mismatched_pairs,
    "random-subspace": random_subspace,
    "shuffled-moments": shuffled_moments,
    "permuted-gates": _permuted_gates,
    "shuffled-experts": _shuffled_experts,
    "random-choices": _random_choices,
    "shuffled-states": _shuffled_states,
    "random-latents": random_latents,
}
