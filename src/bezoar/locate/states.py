"""Toxic states: what the unembedding read when the model wrote a toxic token.

The token at position n is decided by the state ``h_{n−1}`` that the unembedding maps to logits.
`bezoar.locate.collect_states` lets a model write greedily, asks a scorer which words are toxic, and
sets the states that produced them (Φ) against states that produced harmless ones (Ψ). What differs
between the two sets in the mean, ``μ_Φ − μ_Ψ``, is what EigenShift acts on.

Three ways to choose, so that they can be compared. "correct" takes, by characters, the first token
of the toxic word, and for Ψ word beginnings of non-toxic continuations *at the same positions*; a
state is kept only if its likeliest token is the one that was written. "paper" takes Φ so, and for Ψ
the state of the first step of each non-toxic continuation: position and class are then confounded.
"code" finds the toxic token as the published script does, as the first whose text is part of the
toxic word (letters and blanks are), and reads a first step at position 0, which is the first token
of the *prompt* where a library computes all positions of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.locate.direction import Direction
from bezoar.locate.produced import Produced
from bezoar.models import Site
from bezoar.runs.results import Result, one_line

StatesMode = Literal["correct", "paper", "code"]
STATES_MODES: tuple[str, ...] = get_args(StatesMode)
SITE = Site(None, "unembed_in")


@dataclass(frozen=True, slots=True)
class StatesFound(Result):
    """How the states came about.

    Attributes:
        mode: how they were chosen.
        prompts: how many were continued.
        toxic: continuations that the scorer calls toxic.
        kept: toxic states.
        dropped: why toxic continuations or their words gave no state, with counts.
        max_new_tokens, words, matched, seed: as asked.
        scorer, attribution, note: who said what is toxic, and how; see `Continuations`.
        model: fingerprint.
        prompts_hash: of the prompts' tokens.
    """

    mode: StatesMode
    prompts: int
    toxic: int
    kept: int
    dropped: dict[str, int]
    max_new_tokens: int
    words: int
    matched: int
    seed: int
    scorer: str
    attribution: str
    note: str
    model: str
    prompts_hash: str


@dataclass(frozen=True, slots=True)
class _About:
    found: StatesFound
    toxic: tuple[Produced, ...]
    other: tuple[Produced, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ToxicStates:
    """States that produced toxic tokens (Φ) and others (Ψ), at ``unembed_in``.

    Attributes:
        toxic, other: float32, on the CPU.
        toxic_rows, other_rows: for each state the prompt, the position in the continuation and the
            token that it produced.
        found: how they came about.
    """

    toxic: Float[Tensor, "n d_model"]
    other: Float[Tensor, "m d_model"]
    toxic_rows: tuple[Produced, ...]
    other_rows: tuple[Produced, ...]
    found: StatesFound

    __repr__ = one_line

    @property
    def difference(self) -> Float[Tensor, " d_model"]:
        """μ_Φ − μ_Ψ."""
        return (self.toxic.double().mean(0) - self.other.double().mean(0)).float()

    @property
    def direction(self) -> Direction:
        """The difference as a direction: positive = more of the behaviour."""
        return Direction.of(
            self.difference, SITE, trained_on=self.found.prompts_hash, name="toxic states"
        )

    def shuffled(self, seed: int) -> ToxicStates:
        """The same states with their labels drawn anew, among states of the same position.

        Where no position has states of both kinds ("paper", "code"), among all.
        """
        rng = np.random.default_rng(seed)
        rows = [*self.toxic_rows, *self.other_rows]
        states = torch.cat([self.toxic, self.other])
        places = np.array([row.position for row in rows])
        if self.found.mode != "correct":
            places[:] = 0
        order = np.arange(len(rows))
        for place in np.unique(places):
            here = np.flatnonzero(places == place)
            order[here] = rng.permutation(here)
        drawn = [rows[i] for i in order]
        mixed, n = states[torch.from_numpy(order)], len(self.toxic_rows)
        return replace(
            self,
            toxic=mixed[:n],
            other=mixed[n:],
            toxic_rows=tuple(drawn[:n]),
            other_rows=tuple(drawn[n:]),
        )

    def save(self, folder: str | Path) -> None:
        """Write ``states.safetensors`` and ``states.json`` into a folder."""
        about = _About(self.found, self.toxic_rows, self.other_rows)
        save_artefact(folder, "states", about, {"toxic": self.toxic, "other": self.other})

    @classmethod
    def load(cls, folder: str | Path) -> ToxicStates:
        """Read saved states back.

        Raises:
            CorruptArtefact: if they are damaged or altered.
        """
        about, tensors = load_artefact(folder, "states", _About)
        toxic, other = (tensors.get(name) for name in ("toxic", "other"))
        if set(tensors) != {"toxic", "other"} or toxic is None or other is None:
            raise corrupt(folder, "states", f"it holds tensors {sorted(tensors)}")
        for states, rows in ((toxic, about.toxic), (other, about.other)):
            if states.ndim != 2 or states.dtype != torch.float32 or len(states) != len(rows):
                raise corrupt(folder, "states", f"{len(rows)} rows of shape {tuple(states.shape)}")
        if not len(toxic) or not len(other) or toxic.shape[1] != other.shape[1]:
            raise corrupt(folder, "states", "one of the two sets is empty or of another width")
        return cls(toxic, other, about.toxic, about.other, about.found)
