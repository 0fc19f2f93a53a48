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
    checked_prompts,
    readings,
)
from bezoar.compare.models.shown import signed
from bezoar.compare.models.side import sides_of
from bezoar.edits import Edit
from bezoar.errors import DataError
from bezoar.locate import ValueRanking
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import mean_interval, paired_difference
from bezoar.stats.intervals import Interval

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
        for n in self.neurons[:20]:
            table.add_row(str(n), f"{n.base.value:.3f}", f"{n.edited.value:.3f}", signed(n.change))
        means = f"{self.base.value:.3f}", f"{self.edited.value:.3f}", signed(self.change)
        table.add_row("mean of all", *means)
        return table


@torch.no_grad()
def activation_drop(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    prompts: Sequence[str],
    neurons: Neurons,
    *,
    continuations: Continuations = "own",
    new_tokens: int = 20,
    max_prompt_tokens: int | None = 32,
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
        new_tokens: tokens generated after each prompt.
        max_prompt_tokens: longer prompts keep their first tokens.
        budget_tokens: padded tokens of a batch.
        seed: of the bootstrap over prompts.
        progress: where to show it.

    Raises:
        UnsupportedAnatomy: if a layer has no neurons (a mixture of experts).
        DataError: if there is no neuron, one that the model does not have, or one prompt.
        ModelError: if the models differ in shape or tokenizer.
    """
    prompts = checked_prompts(prompts)
    chosen = checked_neurons(base, neurons)
    sides = sides_of(base, edited)
    read = readings(
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
            means.append(_mean_coefficients(lm, reading, chosen, budget_tokens, progress))
    before, after = means
    rows = tuple(
        NeuronDrop(layer, index, *_both(before[:, i], after[:, i], seed))
        for i, (layer, index) in enumerate(chosen)
    )
    overall = _both(before.mean(axis=1), after.mean(axis=1), seed)
    return ActivationDrop(
        base_name=sides[0].name,
        edited_name=sides[1].name,
        neurons=rows,
        base=overall[0],
        edited=overall[1],
        change=overall[2],
        fell=sum(row.change.high < 0 for row in rows) / len(rows),
        rose=sum(row.change.low > 0 for row in rows) / len(rows),
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


def _mean_coefficients(
    lm: LanguageModel,
    reading: Reading,
    neurons: Sequence[tuple[int, int]],
    budget_tokens: int,
    progress: Progress | None,
) -> Float64[np.ndarray, "prompts neurons"]:
    """The mean over each prompt's positions."""
    columns: dict[Site, list[int]] = {}
    for i, (layer, _) in enumerate(neurons):
        columns.setdefault(Site(layer, "mlp_post"), []).append(i)
    index = {site: [neurons[i][1] for i in places] for site, places in columns.items()}
    means = np.empty((len(reading), len(neurons)))
    batches = list(reading.batches(lm, budget_tokens))
    for rows, batch, where in track(progress, batches, "Reading neurons", unit="batches"):
        count = where.sum(-1, keepdim=True)
        values = lm.capture(batch, columns, reduce=lambda site, v: v[..., index[site]])
        for site, places in columns.items():
            mean = (values[site].double() * where[..., None]).sum(1) / count
            means[np.ix_(rows, places)] = mean.cpu().numpy()
    return means


def _both(
    before: Float64[np.ndarray, " prompts"], after: Float64[np.ndarray, " prompts"], seed: int
) -> tuple[Interval, Interval, Interval]:
    return (
        mean_interval(before, seed=seed),
        mean_interval(after, seed=seed),
        paired_difference(after, before, seed=seed),
    )
