"""How a model is trained on preferences: every number of it, with the published ones by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from bezoar.errors import ConfigError, did_you_mean
from bezoar.mitigate.preference.batches import MODES, Mode

Objective = Literal["dpo", "sft"]

_AT_LEAST_ONE = ("batch_pairs", "accumulate", "epochs", "eval_pairs", "eval_batch")
_POSITIVE = ("lr", "clip")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run; the defaults are those of Lee et al. 2024, Table 5. Dropout is always off.

    Attributes:
        objective: "dpo", or "sft": the negative log-likelihood of the chosen sides, a token.
        beta: β of DPO; 0 gives no gradient.
        lr: learning rate after the warm-up.
        optimiser: "rmsprop" (Table 5) or "adamw" (fused), both without weight decay: what carries
            no gradient does not move.
        batch_pairs, accumulate: pairs in a batch, and batches in a step.
        clip: the largest norm of a step's gradient.
        warmup: steps; the rate is lr · min(1, (s + 1) / (warmup + 1)), then constant.
        epochs: passes over the pairs; the reference makes one, whatever its configuration says.
        eval_every: training pairs between two validations.
        eval_pairs, eval_batch: pairs kept for validation, and how many of them at a time.
        steps: the most steps, however many pairs are left; None for all passes.
        enough: training ends at the first validation whose DPO loss is no higher: the pairs are
            told apart, and more only moves the model. 0 (the paper) is never reached.
        patience: validations without a new best loss before training stops; None for 10 as the
            paper prints, or 30 in mode "code".
        keep: "best", the state of the lowest validation loss, or "last": train to the end of the
            pairs whatever validation says, and keep that.
        max_prompt_tokens, max_answer_tokens: see `tokenise_pairs`.
        mode: "correct" and "paper" count answer tokens only; "code" counts what the reference's
            code did (see `collate`).
        seed: of the order of the pairs and of what is initialised at random.
    """

    objective: str = "dpo"
    beta: float = 0.1
    lr: float = 1e-6
    optimiser: str = "rmsprop"
    batch_pairs: int = 4
    accumulate: int = 1
    clip: float = 10.0
    warmup: int = 150
    epochs: int = 1
    steps: int | None = None
    enough: float = 0.0
    eval_every: int = 100
    eval_pairs: int = 64
    eval_batch: int = 8
    patience: int | None = None
    keep: str = "best"
    max_prompt_tokens: int = 64
    max_answer_tokens: int = 64
    mode: Mode = "correct"
    seed: int = 42

    def __post_init__(self) -> None:
        known = {
            "objective": ("dpo", "sft"),
            "optimiser": ("rmsprop", "adamw"),
            "mode": MODES,
            "keep": ("best", "last"),
        }
        for name, valid in known.items():
            if (value := getattr(self, name)) not in valid:
                raise ConfigError(
                    f"{name}={value!r} of a recipe is not known.",
                    hint=did_you_mean(str(value), valid),
                )
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} of a recipe is below 1.")
        for name in ("beta", "enough", *_POSITIVE):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"{name}={getattr(self, name)} of a recipe is not finite.")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)} of a recipe is not above 0.")
        if (self.steps is not None and self.steps < 1) or not self.enough >= 0:
            raise ConfigError(f"steps={self.steps}, enough={self.enough} of a recipe: too small.")
        if self.beta < 0 or self.warmup < 0 or (self.patience is not None and self.patience < 1):
            raise ConfigError(
                f"beta={self.beta}, warmup={self.warmup}, patience={self.patience}: the first two "
                "may not be negative, and patience is at least 1."
            )

    @property
    def patience_used(self) -> int:
        return self.patience or (30 if self.mode == "code" else 10)

    @property
    def step_pairs(self) -> int:
        """Pairs that one step of the optimiser sees."""
        return self.batch_pairs * self.accumulate

    @property
    def eval_steps(self) -> int:
        """Steps between two validations."""
        return max(1, self.eval_every // self.step_pairs)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.lr * min(1.0, (step + 1) / (self.warmup + 1))


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "lee2024": Recipe(),
        # 1e-6 moves a model of a few million parameters little in one pass, and steered pairs are
        # told apart so soon that the loss falls on while perplexity rises.
        "small": Recipe(
            lr=1e-5,
            optimiser="adamw",
            batch_pairs=16,
            warmup=20,
            epochs=10,
            eval_every=160,
            enough=0.2,
        ),
    }
)
"""Recipes by name: Table 5, and one for models of a few million parameters."""


def get_recipe(recipe: str | Recipe, **changes: object) -> Recipe:
    """A recipe by name or as it is, with single numbers changed.

    Raises:
        ConfigError: for an unknown name, or a number that makes no sense.
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ConfigError(f"There is no recipe {recipe!r}.", hint=did_you_mean(recipe, RECIPES))
        recipe = RECIPES[recipe]
    return dataclasses.replace(recipe, **changes) if changes else recipe  # type: ignore[arg-type]
