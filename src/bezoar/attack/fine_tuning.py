"""Fine-tune the edited model: on a few toxic texts, or on harmless ones, as any user might."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bezoar.attack.attack import Attack, OnTop, Setting, rising, some_texts
from bezoar.attack.training import check_plan, check_sizes, train
from bezoar.edits import Edit, NoOp, WeightEdit
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True, repr=False)
class FineTuning(Attack):
    """Plain language modelling on N texts: AdamW without decay, constant rate, all weights or LoRA.

    Every seed draws N other texts. Of all seeds and rates the worst counts: a remedy that holds
    against one setting of the attacker's optimiser may fall to the next (Qi et al. 2024,
    arXiv:2412.07097). A run whose loss is no longer finite failed, and says so; so does a draw of
    texts without two tokens.

    Attributes:
        texts: what is trained on: toxic texts for the attack, any prose for the benign case. Texts
            that are reported on do not belong here.
        counts: the N.
        rates: learning rates.
        seeds: of texts and order.
        steps: optimiser steps, whatever N.
        batch: texts a step (N if that is less).
        max_tokens: texts are cut there.
        rank: of adapters (LoRA) on all block matrices; None trains all weights.
    """

    axis: ClassVar[str] = "texts trained on"
    texts: tuple[str, ...]
    counts: tuple[int, ...] = (1, 10, 100)
    rates: tuple[float, ...] = (1e-5, 1e-4, 1e-3)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 30
    batch: int = 8
    max_tokens: int = 64
    rank: int | None = None
    name: str = "fine-tuning on toxic texts"

    def __post_init__(self) -> None:
        some_texts(self.texts, "to train on")
        check_plan(self.rates, self.seeds, (self.steps,))
        check_sizes(self.batch, self.max_tokens, self.rank)

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
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
                    rank=self.rank,
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
