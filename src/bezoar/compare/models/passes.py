"""Forward passes that the comparisons share: which positions are read, and by which batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from bezoar.activations import plan_batches
from bezoar.compare.models.side import Side
from bezoar.errors import ConfigError, DataError, did_you_mean, several
from bezoar.locate.last_tokens import encode_for
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.models.batch import Batch
from bezoar.runs.progress import Progress

Continuations = Literal["own", "shared", "base"]
CONTINUATIONS = ("own", "shared", "base")


@dataclass(frozen=True, slots=True)
class Reading:
    """Token ids of each prompt with its continuation, and the positions that are looked at.

    Attributes:
        ids: one row a prompt.
        first: the first position that is looked at; every later one is too.
    """

    ids: tuple[tuple[int, ...], ...]
    first: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def batches(
        self, lm: LanguageModel, budget_tokens: int
    ) -> Iterator[tuple[list[int], Batch, Bool[Tensor, "batch pos"]]]:
        """Rows, batch, and the positions of it that are looked at; padding never is."""
        for chosen in plan_batches([len(row) for row in self.ids], budget_tokens):
            rows = [int(row) for row in chosen]
            batch = lm.batch([self.ids[i] for i in rows], side="right")
            places = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)
            first = torch.tensor([self.first[i] for i in rows], device=places.device)
            yield rows, batch, batch.mask & (places >= first[:, None])


def checked_prompts(prompts: Sequence[str], least: int = 2) -> list[str]:
    """The prompts as a list.

    Raises:
        DataError: if there are too few for an interval, or one string was given.
    """
    found = list(several(prompts, "prompts"))
    if len(found) < least:
        raise DataError(
            f"{len(found)} prompts.", hint=f"A comparison needs at least {least}; 200 is better."
        )
    return found


def checked_draws(draws: int, what: str = "draws") -> int:
    """How many random sets, or resamples; 0 is none.

    Raises:
        ConfigError: if it is below 0.
    """
    if draws < 0:
        raise ConfigError(f"{what}={draws}.", hint="Ask for some, such as 39, or for 0.")
    return draws


def readings(
    base: Side,
    edited: Side,
    prompts: Sequence[str],
    continuations: Continuations,
    *,
    new_tokens: int,
    max_prompt_tokens: int | None,
    progress: Progress | None,
) -> tuple[Reading, Reading]:
    """What each side reads: the prompts with greedy continuations.

    The positions are those at which the new tokens are decided: from the last token of the prompt
    on, the last new token excluded.

    Args:
        base, edited: the sides.
        prompts: texts.
        continuations: "own": each side follows its own tokens. "shared": both read those of the
            edited side, as the code of Lee et al. 2024 does. "base": both read the base's.
        new_tokens: length of the continuations.
        max_prompt_tokens: cut longer prompts to their first tokens.
        progress: where to show it.

    Raises:
        ConfigError: for another word, ``max_prompt_tokens`` below 1, or a context that has no room
            for the new tokens.
    """
    if continuations not in CONTINUATIONS:
        hint = did_you_mean(continuations, CONTINUATIONS)
        raise ConfigError(f"continuations={continuations!r} is not known.", hint=hint)
    found = []
    writers = {"own": (base, edited), "shared": (edited,), "base": (base,)}[continuations]
    for side in writers:
        with side.opened() as lm:
            found.append(_written(lm, prompts, new_tokens, max_prompt_tokens, progress))
    return found[0], found[-1]


def _written(
    lm: LanguageModel,
    prompts: Sequence[str],
    new_tokens: int,
    max_prompt_tokens: int | None,
    progress: Progress | None,
) -> Reading:
    decoding = Decoding(max_new_tokens=new_tokens)
    made = generate(
        lm, prompts, decoding, max_prompt_tokens=max_prompt_tokens, progress=progress
    ).tokens
    read = encode_for(lm, prompts, max_prompt_tokens, new_tokens)
    # The step that ended a text early was taken too: its position is the last token's.
    rows = tuple(tuple(ids) + new[: new_tokens - 1] for ids, new in zip(read, made, strict=True))
    return Reading(rows, tuple(len(ids) - 1 for ids in read))
