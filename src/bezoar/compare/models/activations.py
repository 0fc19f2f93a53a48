"""Whether toxic neurons fire less: mean coefficients while text is generated (figure 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from rich.table import Table

from bezoar.compare.models.passes import (
    Continuations,
    Reading,
    checked_draws,
    checked_prompts,
    readings,
)
from bezoar.compare.models.shown import ROWS, p_value, signed
from bezoar.compare.models.side import sides_of
from bezoar.edits import Edit
from bezoar.errors import DataError
from bezoar.locate import ValueRanking
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import mean_interval, paired_difference
from bezoar.stats.intervals import Interval
from bezoar.stats.nulls import null_p_value

Neurons = ValueRanking | Iterable[tuple[int, int]]
"""A ranking of value vectors, or (layer, index) pairs."""


@dataclass(frozen=True, slots=True)
class NeuronDrop(Result):
    """The mean coefficient of one neuron on both sides.

    Attributes:
        layer, index: which neuron.
        base, edited: mean over prompts of the mean over generated tokens.
        change: edited minus base, paired by prompt.
    """

    layer: int
    index: int
    base: Interval
    edited: Interval
    change: Interval

    def __str__(self) -> str:
        return f"{self.layer}.{self.index}"


@dataclass(frozen=True, slots=True, repr=False)
class ActivationDrop(Result):
    """Mean coefficients of chosen neurons over generated tokens, base against edited.

    Attributes:
        base_name, edited_name: of the models.
        neurons: in the order given.
        base, edited, change: of the mean over these neurons.
        fell: share of the neurons whose interval lies below zero.
        rose: share of those whose interval lies above.
        random: the change of the mean over as many random neurons of the same layers, for each
            draw; empty where a layer has too few others.
        null_p: how often random neurons fall as far; None without them.
        continuations: whose tokens were read: "own", "shared" (the edited model's), "base".
        prompts_n, new_tokens: what was generated.
    """

    base_name: str
    edited_name: str
    neurons: tuple[NeuronDrop, ...]
    base: Interval
    edited: Interval
    change: Interval
    fell: float
    rose: float
    random: tuple[float, ...]
    null_p: float | None
    continuations: str
    prompts_n: int
    new_tokens: int

    def __rich__(self) -> Table:
        title = (
            f"mean coefficients over {self.new_tokens} tokens after {self.prompts_n} prompts "
            f"({self.continuations} continuations): {self.fell:.0%} of {len(self.neurons)} "
            f"neurons fell, {self.rose:.0%} rose"
        )
        table = Table("neuron", self.base_name, self.edited_name, "change", title=title)
        for n in self.neurons[:ROWS]:
            table.add_row(str(n), f"{n.base.value:.3f}", f"{n.edited.value:.3f}", signed(n.change))
        means = f"{self.base.value:.3f}", f"{self.edited.value:.3f}", signed(self.change)
        table.add_row("mean of all", *means)
        if self.null_p is not None:
            null = f"{np.mean(self.random):+.3g} (as far: p {p_value(self.null_p)})"
            table.add_row(f"{len(self.neurons)} random, {len(self.random)} ×", "", "", null)
        return table


@torch.no_grad()
def activation_drop(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    prompts: Sequence[str],
    neurons: Neurons,
    *,
    continuations: Continuations = "own",
    draws: int = 39,
    new_tokens: int = 20,
    max_prompt_tokens: int | None = 32,
    written: tuple[Reading, Reading] | None = None,
    budget_tokens: int = 4096,
    seed: int = 0,
    progress: Progress | None = None,
) -> ActivationDrop:
    """Mean ``mlp_post`` of chosen neurons where greedy tokens are decided (Lee et al., Figure 2).

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        prompts: texts to continue.
        neurons: which; the reference takes the first 64 of `bezoar.locate.rank_values`.
        continuations: "own": each model follows its own tokens, as the paper describes. "shared":
            both read what the edited model wrote, which is what the paper's code does (its
            variable is overwritten). "base": both read what the base wrote.
        draws: sets of as many random neurons of the same layers, read along with them: what falls
            when everything does.
        new_tokens: tokens generated after each prompt.
        max_prompt_tokens: longer prompts keep their first tokens.
        written: what `readings` returned for these arguments, so that it is not generated again.
        budget_tokens: padded tokens of a batch.
        seed: of the bootstrap over prompts and of the random neurons.
        progress: where to show it.

    Raises:
        UnsupportedAnatomy: if a layer has no neurons (a mixture of experts).
        ConfigError: for another word in ``continuations``, ``draws`` below 0, or
            ``max_prompt_tokens`` below 1.
        DataError: if there is no neuron, one that the model does not have, or one prompt.
        ModelError: if the models differ in shape or tokenizer.
    """
    prompts = checked_prompts(prompts)
    chosen = checked_neurons(base, neurons)
    sets = random_sets(base, chosen, draws, seed=seed)
    sides = sides_of(base, edited)
    read = written or readings(
        *sides,
        prompts,
        continuations,
        new_tokens=new_tokens,
        max_prompt_tokens=max_prompt_tokens,
        progress=progress,
    )
    means = []
    for side, reading in zip(sides, read, strict=True):
        with side.opened() as lm:
            means.append(_mean_coefficients(lm, reading, chosen, sets, budget_tokens, progress))
    (before, low), (after, high) = means
    rows = tuple(
        NeuronDrop(layer, index, *_both(before[:, i], after[:, i], seed))
        for i, (layer, index) in enumerate(chosen)
    )
    overall = _both(before.mean(axis=1), after.mean(axis=1), seed)
    random = (high - low).mean(axis=0)
    return ActivationDrop(
        base_name=sides[0].name,
        edited_name=sides[1].name,
        neurons=rows,
        base=overall[0],
        edited=overall[1],
        change=overall[2],
        fell=sum(row.change.high < 0 for row in rows) / len(rows),
        rose=sum(row.change.low > 0 for row in rows) / len(rows),
        random=tuple(random.tolist()),
        null_p=null_p_value(overall[2].value, random, "less") if len(sets) else None,
        continuations=continuations,
        prompts_n=len(prompts),
        new_tokens=new_tokens,
    )


def checked_neurons(lm: LanguageModel, neurons: Neurons) -> list[tuple[int, int]]:
    """(layer, index) of distinct neurons, in the order given.

    Raises:
        DataError: if there is none, or one that the model does not have.
    """
    if isinstance(neurons, ValueRanking):
        found = [(entry.layer, entry.index) for entry in neurons.entries]
    else:
        found = list(dict.fromkeys((int(layer), int(index)) for layer, index in neurons))
    if not found:
        raise DataError("There is no neuron to follow.", hint="Give (layer, index) pairs.")
    for layer, index in found:
        width = lm.site_width(lm.site(Site(layer, "mlp_post"))) if layer >= 0 else 0
        if not 0 <= index < width:
            raise DataError(
                f"There is no neuron {layer}.{index} in {lm.name!r}.",
                hint=f"Layers run from 0 to {lm.n_layers - 1}, neurons to {lm.d_mlp - 1}.",
            )
    return found


def random_sets(
    lm: LanguageModel, neurons: Sequence[tuple[int, int]], draws: int, *, seed: int = 0
) -> list[list[tuple[int, int]]]:
    """Sets of as many other neurons, each set with as many of every layer as ``neurons`` has.

    Empty if a layer has not as many others.

    Raises:
        ConfigError: if ``draws`` is below 0.
    """
    draws = checked_draws(draws)
    by_layer: dict[int, list[int]] = {}
    for layer, index in neurons:
        by_layer.setdefault(layer, []).append(index)
    rng = np.random.default_rng(seed)
    others = {
        layer: np.setdiff1d(np.arange(lm.site_width(lm.site(Site(layer, "mlp_post")))), taken)
        for layer, taken in by_layer.items()
    }
    if any(len(others[layer]) < len(taken) for layer, taken in by_layer.items()):
        return []
    return [
        [
            (layer, index)
            for layer, taken in by_layer.items()
            for index in rng.choice(others[layer], len(taken), replace=False).tolist()
        ]
        for _ in range(draws)
    ]


def _mean_coefficients(
    lm: LanguageModel,
    reading: Reading,
    neurons: Sequence[tuple[int, int]],
    sets: Sequence[Sequence[tuple[int, int]]],
    budget_tokens: int,
    progress: Progress | None,
) -> tuple[Float64[np.ndarray, "prompts neurons"], Float64[np.ndarray, "prompts sets"]]:
    """Means over each prompt's positions: of every neuron, and over the neurons of every set."""
    sites = sorted({Site(layer, "mlp_post") for layer, _ in neurons})
    starts = np.cumsum([0, *(lm.site_width(site) for site in sites)])
    start = {site.layer: int(at) for site, at in zip(sites, starts[:-1], strict=True)}
    columns = [start[layer] + index for layer, index in neurons]
    member = np.zeros((int(starts[-1]), len(sets)))
    for column, chosen in enumerate(sets):
        member[[start[layer] + index for layer, index in chosen], column] = 1 / len(chosen)
    means, random = np.empty((len(reading), len(neurons))), np.empty((len(reading), len(sets)))
    batches = list(reading.batches(lm, budget_tokens))
    for rows, batch, where in track(progress, batches, "Reading neurons", unit="batches"):
        share = where.float() / where.sum(-1, keepdim=True)
        values = lm.capture(
            batch,
            sites,
            reduce=lambda _, v, w=share: torch.einsum("bp,bpd->bd", w, v.float()),  # type: ignore[misc]
        )
        every = torch.cat([values[site].double().cpu() for site in sites], dim=1).numpy()
        means[rows], random[rows] = every[:, columns], every @ member
    return means, random


def _both(
    before: Float64[np.ndarray, " prompts"], after: Float64[np.ndarray, " prompts"], seed: int
) -> tuple[Interval, Interval, Interval]:
    return (
        mean_interval(before, seed=seed),
        mean_interval(after, seed=seed),
        paired_difference(after, before, seed=seed),
    )
