"""Preference pairs and runs for tests of training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bezoar.mitigate.preference import Recipe, get_recipe
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs

WHO = ("people", "woman", "man", "night", "day", "river", "tree", "house", "they", "you", "all")


def pairs(n: int = 33) -> Pairs:
    """Sides of different lengths, prompts that repeat."""
    return Pairs(
        tuple(f"I think that {WHO[i % len(WHO)]} are" for i in range(n)),
        tuple((" lovely", " so very good and kind")[i % 2] for i in range(n)),
        tuple((" a stupid fool", " an idiot", " rotten")[i % 3] for i in range(n)),
    )


def recipe(**changes: Any) -> Recipe:
    """Six steps on 33 pairs, validated at every second one."""
    quick: dict[str, Any] = {
        "lr": 3e-3,
        "batch_pairs": 4,
        "eval_every": 8,
        "warmup": 2,
        "eval_pairs": 8,
        "epochs": 1,
        "enough": 0.0,
    }
    return get_recipe("small", **quick | changes)


def state_of(lm: LanguageModel) -> dict[str, Tensor]:
    """A copy of every tensor of the model."""
    return {name: value.clone() for name, value in lm.model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two models hold the same bits."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
