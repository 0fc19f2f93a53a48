"""Fine-tune the edited model: on a few toxic texts, or on harmless ones, as any user might."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from bezoar.attack.attack import Attack, OnTop, Setting, rising
from bezoar.edits import Delta, Dense, Edit, NoOp, WeightEdit
from bezoar.errors import AttackFailed, ConfigError, DataError
from bezoar.models import Batch, LanguageModel

_CLIP = 1.0  # norm of the gradient


@dataclass(frozen=True, slots=True, repr=False)
class FineTuning(Attack):
    """Plain language modelling on N texts: full weights, AdamW without decay, constant rate.

    Every seed draws N other texts. Of all seeds and rates the worst counts: a remedy that holds
    against one setting of the attacker's optimiser may fall to the next (Qi et al. 2024,
    arXiv:2412.07097). A run whose loss is no longer finite failed, and says so.

    Attributes:
        texts: what is trained on: toxic texts for the attack, any prose for the benign case. Texts
            that are reported on do not belong here.
        counts: the N.
        rates: learning rates.
        seeds: of texts and order.
        steps: optimiser steps, whatever N.
        batch: texts a step (N if that is less).
        max_tokens: texts are cut there.
    """

    axis: ClassVar[str] = "texts trained on"
    texts: tuple[str, ...]
    counts: tuple[int, ...] = (1, 10, 100)
    rates: tuple[float, ...] = (1e-5, 1e-4, 1e-3)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 30
    batch: int = 8
    max_tokens: int = 64
    name: str = "fine-tuning on toxic texts"

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        if not self.rates or not self.seeds or min(self.rates, default=0) <= 0 or self.steps < 1:
            raise ConfigError(
                f"Fine-tuning with rates {self.rates}, seeds {self.seeds} and {self.steps} steps.",
                hint="Give positive rates, at least one seed and one step.",
            )
        return tuple(
            Setting(
                count,
                f"{int(count)} text{'s' if count > 1 else ''}",
                f"seed {seed}, rate {rate:g}",
                values={"count": int(count), "seed": seed, "rate": rate},
            )
            for count in rising(self.counts, "A count of texts", 1, len(self.texts))
            for seed in self.seeds
            for rate in self.rates
        )

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        def edit(setting: Setting) -> Edit:
            count, seed = int(setting.values["count"] or 0), int(setting.values["seed"] or 0)
            rate = float(setting.values["rate"] or 0)
            drawn = np.random.default_rng(seed).permutation(len(self.texts))[:count]
            with remedy.applied_to(lm):
                deltas = train(
                    lm,
                    [self.texts[i] for i in drawn],
                    rate=rate,
                    steps=self.steps,
                    batch=self.batch,
                    max_tokens=self.max_tokens,
                    seed=seed,
                )
            provenance = {"attack": self.name, "steps": self.steps, **setting.values}
            return WeightEdit(deltas, name=f"train on {setting.label}", provenance=provenance)

        return edit


@dataclass(frozen=True, slots=True, repr=False)
class LaterCheckpoint(FineTuning):
    """Is a saved edit still one on a later checkpoint? The *base* is fine-tuned, then edited.

    Give it harmless texts: it is what happens to a patch when its model is updated.
    """

    name: str = "edit re-applied to a later checkpoint"

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        return FineTuning.against(self, lm, NoOp())

    def compose(self, remedy: Edit, on_top: Edit) -> Edit:
        return on_top.then(remedy)


def train(
    lm: LanguageModel,
    texts: list[str],
    *,
    rate: float,
    steps: int,
    batch: int = 8,
    max_tokens: int = 64,
    seed: int = 0,
) -> dict[str, Delta]:
    """The change of every parameter by plain fine-tuning of the model *as it is edited now*.

    The model's own parameters are never written to: the training runs on copies of them.

    Raises:
        AttackFailed: if the loss or the gradient is no longer finite.
        DataError: if no text has two tokens.
    """
    ids = [row for row in lm.encode(texts, min(max_tokens, lm.context)) if len(row) > 1]
    if not ids:
        raise DataError("No text has two tokens, so nothing can be trained.", hint="Give longer.")
    names = _names(lm)
    start = {name: lm.model.get_parameter(name).detach() for name in names}
    free = {name: value.clone().requires_grad_(True) for name, value in start.items()}
    optimiser = torch.optim.AdamW(free.values(), lr=rate, weight_decay=0.0)
    for step, rows in enumerate(itertools.islice(_order(len(ids), batch, seed), steps)):
        with torch.enable_grad():
            loss = _loss(lm, free, lm.batch([ids[i] for i in rows]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(free.values(), _CLIP)
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            raise AttackFailed(
                f"The loss became {loss.item():g} at step {step} of {steps} (rate {rate:g}).",
                hint="Lower the learning rate.",
            )
        optimiser.step()
    deltas: dict[str, Delta] = {}
    for name, value in free.items():
        change = Dense((value.detach() - start[name]).float().cpu())
        deltas |= dict.fromkeys(names[name], change)
    return deltas


def _names(lm: LanguageModel) -> dict[str, list[str]]:
    """Name of each floating parameter -> all its names: tied ones are trained as one."""
    first: dict[int, str] = {}
    names: dict[str, list[str]] = {}
    for name, parameter in lm.model.named_parameters(remove_duplicate=False):
        if parameter.is_floating_point() and parameter.element_size() >= 2:
            names.setdefault(first.setdefault(id(parameter), name), []).append(name)
    return names


def _order(n: int, batch: int, seed: int) -> Iterator[list[int]]:
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(n).tolist()
        for start in range(0, n, batch):
            yield order[start : start + batch]


def _loss(lm: LanguageModel, parameters: dict[str, Tensor], batch: Batch) -> Tensor:
    """Mean negative log-likelihood of the next token, over real tokens."""
    output = functional_call(lm.model, parameters, (), lm.inputs(batch))
    logits = output.logits[:, :-1].float()
    target = batch.input_ids[:, 1:].masked_fill(~batch.mask[:, 1:], -100)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
