"""What toxic states are like: how many, which tokens, where, and whether their mean differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from bezoar.locate.produced import Produced
from bezoar.locate.states import StatesFound, StatesMode, ToxicStates
from bezoar.locate.vocabulary import shown
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.stats.classification import auroc_interval
from bezoar.stats.intervals import Interval
from bezoar.stats.nulls import null_p_value
from bezoar.stats.splits import unit_hash

FEWEST = 10
"""Prompts with states of either kind, without which no AUROC on held-out states is taken."""
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class TokenCount(Result):
    """A token of the vocabulary (its text is raw: mask it) and how many states produced it."""

    id: int
    token: str
    count: int


@dataclass(frozen=True, slots=True)
class OtherChoice(Result):
    """The same continuations, with states chosen as the paper or its code does.

    Attributes:
        mode: which of the two.
        toxic, other: how many states.
        norm: of the difference of the means.
        cosine: of that difference to the one of the mode "correct".
    """

    mode: StatesMode
    toxic: int
    other: int
    norm: float
    cosine: float


@dataclass(frozen=True, slots=True, repr=False)
class StatesReport(Result):
    """What the toxic states are like.

    Attributes:
        found: how they came about, with counts.
        prompts: where the prompts are from, in words.
        other: harmless states.
        tokens: what the toxic states produced, commonest first.
        toxic_positions, other_positions: states at each position of the continuation.
        norm: of μ_Φ − μ_Ψ, beside
        null_norms: that of shuffled labels, and
        null_p: the share of those that are no shorter, (1 + #≥) / (1 + n).
        auroc: of held-out states along the difference, both from other prompts than it; None if
            there are too few.
        choices: the other ways to choose states from the same continuations.
    """

    found: StatesFound
    prompts: str
    other: int
    tokens: tuple[TokenCount, ...]
    toxic_positions: tuple[int, ...]
    other_positions: tuple[int, ...]
    norm: float
    null_norms: tuple[float, ...]
    null_p: float
    auroc: Interval | None
    choices: tuple[OtherChoice, ...] = ()

    def __str__(self) -> str:
        """In two sentences."""
        found = self.found
        said = (
            f"{found.toxic} of {found.prompts} greedy continuations are toxic by {found.scorer}; "
            f"{found.kept} toxic states, {self.other} harmless ones. Their means differ by "
            f"{self.norm:.3g} (shuffled {np.mean(self.null_norms):.3g}, p = {self.null_p:.2g})"
        )
        return f"{said}; AUROC on held-out states {self.auroc}." if self.auroc else f"{said}."

    def __rich__(self) -> Table:
        table = Table(
            "token", "states", title=f"toxic states ({self.found.mode})", caption=str(self)
        )
        for token in self.tokens[:20]:
            table.add_row(shown(token.token), str(token.count))
        return table


def report_states(
    lm: LanguageModel,
    states: ToxicStates,
    *,
    prompts: str = "",
    others: Mapping[StatesMode, ToxicStates] | None = None,
    draws: int = 39,
    tokens: int = 40,
    seed: int = 0,
) -> StatesReport:
    """Count the states, and hold their difference against shuffled labels and held-out states.

    Args:
        lm: the model, for the texts of tokens.
        states: to be reported on.
        prompts: where the prompts are from, in words.
        others: states of the same continuations chosen in other modes.
        draws: shuffles of the labels.
        tokens: shown, at most.
        seed: of the shuffles.
    """
    norm = float(states.difference.norm())
    null = [float(states.shuffled(seed + i).difference.norm()) for i in range(draws)]
    counts = Counter(row.token for row in states.toxic_rows).most_common(tokens)
    texts = lm.token_strings([token for token, _ in counts])
    width = states.found.max_new_tokens
    return StatesReport(
        found=states.found,
        prompts=prompts,
        other=len(states.other_rows),
        tokens=tuple(
            TokenCount(token, text, n) for (token, n), text in zip(counts, texts, strict=True)
        ),
        toxic_positions=_histogram(states.toxic_rows, width),
        other_positions=_histogram(states.other_rows, width),
        norm=norm,
        null_norms=tuple(null),
        null_p=null_p_value(norm, null),
        auroc=held_out_auroc(states),
        choices=tuple(_choice(mode, other, states) for mode, other in (others or {}).items()),
    )


def held_out_auroc(states: ToxicStates) -> Interval | None:
    """AUROC of states along the difference of the means of other prompts' states.

    Five folds by prompt; a state's score is its distance from the middle between the two means of
    the other folds, along the unit difference. The interval is clustered by prompt.
    """
    rows = [*states.toxic_rows, *states.other_rows]
    labels = np.arange(len(rows)) < len(states.toxic_rows)
    prompts = np.array([row.prompt for row in rows])
    counts = [len(set(prompts[labels == label])) for label in (True, False)]
    if min(counts) < FEWEST:
        return None
    values = torch.cat([states.toxic, states.other]).double().numpy()
    folds = np.array([int(_FOLDS * unit_hash(str(prompt), "fold of states")) for prompt in prompts])
    scores = np.zeros(len(rows))
    for fold in range(_FOLDS):
        here = folds == fold
        means = [values[~here & (labels == label)] for label in (True, False)]
        if not here.any():
            continue
        if min(map(len, means)) == 0:
            return None
        toxic, other = (part.mean(0) for part in means)
        unit = (toxic - other) / np.linalg.norm(toxic - other)
        scores[here] = (values[here] - (toxic + other) / 2) @ unit
    return auroc_interval(scores, labels.astype(int), groups=prompts)


def _choice(mode: StatesMode, states: ToxicStates, correct: ToxicStates) -> OtherChoice:
    mine, theirs = states.difference, correct.difference
    return OtherChoice(
        mode=mode,
        toxic=len(states.toxic_rows),
        other=len(states.other_rows),
        norm=float(mine.norm()),
        cosine=_cosine(mine, theirs),
    )


def _cosine(a: Float[Tensor, " d"], b: Float[Tensor, " d"]) -> float:
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))


def _histogram(rows: Sequence[Produced], width: int) -> tuple[int, ...]:
    return tuple(np.bincount([row.position for row in rows], minlength=width).tolist())
