"""Ban words: the simplest remedy, and a strong rival."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from bezoar.edits import Edit, LogitEdit
from bezoar.errors import ConfigError
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import LanguageModel


@register
@dataclass(frozen=True, slots=True)
class WordBan(Method):
    """Make listed words less likely, or impossible: logit ← logit − penalty.

    A word of one token is held back everywhere, in any case and with or without a leading blank. Of
    a word of several tokens only the last is, and only after the others: its first piece may begin
    a thousand harmless words. A word with a trailing ``*`` takes its one-token extensions along.

    Attributes:
        penalty: in nats; infinite is a ban.
    """

    name: ClassVar[str] = "word-ban"
    penalty: float = math.inf

    def __post_init__(self) -> None:
        if not self.penalty >= 0:
            raise ConfigError(f"penalty={self.penalty} of a word ban is not 0 or more nats.")

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"words"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ("random-words",)

    @property
    def strength(self) -> float:
        return self.penalty

    @property
    def strength_max(self) -> float:
        return 100.0  # no float32 softmax can tell it from a ban

    def with_strength(self, strength: float) -> WordBan:
        return dataclasses.replace(self, penalty=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """A `LogitEdit` on every token sequence that spells one of the words."""
        words: tuple[str, ...] = inputs.need("words", self.name)
        sequences = word_sequences(lm, words)
        return LogitEdit(
            sequences,
            torch.full((len(sequences),), -self.penalty),
            name=f"ban {len(words)} words",
            provenance=self.origin(lm, words=len(words), sequences=len(sequences)),
        )


def word_sequences(lm: LanguageModel, words: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The token sequences that spell words: one-token spellings first, all sorted.

    Raises:
        ConfigError: if a word is blank.
    """
    exact = {word.rstrip("*").strip().casefold() for word in words}
    if "" in exact:
        raise ConfigError("A banned word is blank.", hint="Leave empty lines out of the list.")
    stems = tuple(word[:-1].strip().casefold() for word in words if word.endswith("*"))
    single: set[int] = set()
    for index, text in enumerate(lm.token_strings(range(min(lm.d_vocab, len(lm.tokenizer))))):
        spelled = text.strip().casefold()
        if spelled in exact or (stems and spelled.startswith(stems)):
            single.add(index)
    several: set[tuple[int, ...]] = set()
    for word in exact:
        for spelling in (word, word.capitalize(), word.upper()):
            for lead in ("", " "):
                row = lm.tokenizer(lead + spelling, add_special_tokens=False)["input_ids"]
                if len(row) > 1 and not single.intersection(row):
                    several.add(tuple(row))
    return (*((index,) for index in sorted(single)), *sorted(several))
