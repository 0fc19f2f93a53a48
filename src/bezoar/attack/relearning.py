"""How many steps of fine-tuning until half of the remedy is gone?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bezoar.attack.attack import Attack, OnTop, Setting, rising, some_texts
from bezoar.attack.training import check_plan, check_sizes, train
from bezoar.edits import Edit, WeightEdit
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True, repr=False)
class Relearning(Attack):
    """Fine-tuning by its steps. `AttackCurve.half_gone` is the number of steps to relearn.

    Every point is a training of its own, of the first so many steps of one and the same order.
    Unlearned knowledge came back within 16 steps (Che et al. 2025, arXiv:2502.05209).

    Attributes:
        texts: toxic ones, all of them trained on in turn.
        steps: optimiser steps.
        rates, seeds, batch, max_tokens, rank: as in `FineTuning`; the worst counts.
    """

    axis: ClassVar[str] = "steps of fine-tuning"
    texts: tuple[str, ...]
    steps: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    rates: tuple[float, ...] = (1e-4, 1e-3)
    seeds: tuple[int, ...] = (0,)
    batch: int = 8
    max_tokens: int = 64
    rank: int | None = None
    name: str = "relearning"

    def __post_init__(self) -> None:
        some_texts(self.texts, "to relearn from")
        check_plan(self.rates, self.seeds, self.steps)
        check_sizes(self.batch, self.max_tokens, self.rank)

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        return tuple(
            Setting(
                step,
                f"{int(step)} step{'s' if step > 1 else ''}",
                f"seed {seed}, rate {rate:g}",
                values={"steps": int(step), "seed": seed, "rate": rate},
            )
            for step in rising(self.steps, "A number of steps", 1, 1_000_000)
            for seed in self.seeds
            for rate in self.rates
        )

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        def edit(setting: Setting) -> Edit:
            with remedy.applied_to(lm):
                deltas = train(
                    lm,
                    list(self.texts),
                    rate=float(setting.values["rate"] or 0),
                    steps=int(setting.values["steps"] or 0),
                    batch=self.batch,
                    max_tokens=self.max_tokens,
                    seed=int(setting.values["seed"] or 0),
                    rank=self.rank,
                )
            provenance = {"attack": self.name, **setting.values}
            return WeightEdit(deltas, name=f"train {setting.label}", provenance=provenance)

        return edit
