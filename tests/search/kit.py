"""A search on a tiny model, with meters that read a few logits instead of generating text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from bezoar.edits import Edit
from bezoar.models import LanguageModel
from bezoar.search import Journal, Meters, Objective, Space, Trial, search
from tests.mitigate.kit import inputs

WORDS = ("a", "good", "bad", "fool", "idiot", "man", "woman", "tree", "river")
PROMPTS = tuple(f"you are {word} and" for word in WORDS)
RUNGS = (3, 9)
METHODS = ("subtract", "project-out", "word-ban")
LIMIT = 0.02


def meters(lm: LanguageModel) -> Meters:
    """Cost: mean KL to the base over prompts. Toxicity: probability of a third of all tokens."""
    ids = lm.encode(list(PROMPTS))
    batch = lm.batch(ids)

    def last(edit: Edit | None) -> torch.Tensor:
        def read() -> torch.Tensor:
            logits = lm.logits(batch)
            ends = torch.tensor([len(row) - 1 for row in ids])
            return logits[torch.arange(len(ids)), ends].double().log_softmax(-1)

        if edit is None:
            return read()
        with edit.applied_to(lm):
            return read()

    base = last(None)

    def cost(edit: Edit) -> float:
        edited = last(edit)
        return float((base.exp() * (base - edited)).sum(-1).mean())

    def toxicity(edit: Edit, rung: int) -> tuple[float, ...]:
        shares = last(edit).exp()[:, ::3].sum(-1)
        begin = (0, *RUNGS)[rung]
        return tuple(shares[begin : RUNGS[rung]].tolist())

    return Meters(cost, cost, toxicity)


def objective(lm: LanguageModel, folder: Path, measured: Meters | None = None) -> Objective:
    given = inputs(lm)
    return Objective(
        lm, lambda spec: given, measured or meters(lm), rungs=RUNGS, limit=LIMIT, folder=folder
    )


def run(
    lm: LanguageModel,
    folder: Path,
    trials: int,
    measured: Meters | None = None,
    methods: tuple[str, ...] = METHODS,
    wrap: Callable[[Objective], Objective] = lambda made: made,
) -> tuple[Trial, ...]:
    """A whole search, or what is missing of one."""
    journal = Journal(folder / "journal.log", 7)
    made = wrap(objective(lm, folder, measured))
    return search(Space(methods, lm), made, journal, trials)
