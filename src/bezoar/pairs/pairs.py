"""The noun of this room: a prompt and two continuations of it, one less toxic than the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from bezoar.corpus.rows import Origin, Rows, check_texts
from bezoar.errors import DataError, several
from bezoar.stats.duplicates import near_duplicates
from bezoar.stats.splits import hash_split, joint_groups, text_key

SHARES: Mapping[str, float] = MappingProxyType({"train": 0.9, "select": 0.1})
"""The parts of ``Pairs.split``: what is learnt from, and what says when to stop."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pairs(Rows):
    """Preferences: of two continuations of a prompt, which one is wanted.

    Any texts can be held, equal and empty sides too: `clean_pairs` says which of them no model can
    learn from, and drops those.

    Attributes:
        prompts: what was continued; "" where there is no prompt.
        chosen: the less toxic continuation of each, without the prompt.
        rejected: the more toxic continuation of each, without the prompt.
        chosen_score, rejected_score: toxicity of the sides in [0, 1] by one scorer; None if the
            pairs were not scored.
        name: short name for tables.
        origin: where the pairs were read from, and how many were left out by which rule.
        provenance: how they were made, scored and filtered, as plain JSON values.
    """

    prompts: tuple[str, ...]
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    chosen_score: tuple[float, ...] | None = None
    rejected_score: tuple[float, ...] | None = None
    name: str = "pairs"
    origin: Origin = field(default_factory=Origin)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("prompts", "chosen", "rejected"):
            texts = tuple(several(getattr(self, name), name))
            check_texts(texts)
            object.__setattr__(self, name, texts)
        if (self.chosen_score is None) != (self.rejected_score is None):
            raise DataError(
                "Only one side of the pairs has scores.", hint="Score both sides: score_pairs()."
            )
        for name in ("chosen_score", "rejected_score"):
            if (scores := getattr(self, name)) is not None:
                object.__setattr__(self, name, _scores(scores, name))
        for name, values in self._columns().items():
            if len(values) != len(self):
                raise DataError(
                    f"{name} has {len(values)} rows, prompts has {len(self)}.",
                    hint='Every pair needs a prompt ("" if it has none) and both sides.',
                )

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def margin(self) -> tuple[float, ...]:
        """How much more toxic the rejected side is, in [-1, 1].

        Raises:
            DataError: if the pairs were not scored.
        """
        if self.chosen_score is None or self.rejected_score is None:
            raise DataError(f"{self.name!r} has no scores.", hint="Score it first: score_pairs().")
        return tuple(r - c for c, r in zip(self.chosen_score, self.rejected_score, strict=True))

    def subset(self, indices: Sequence[int] | np.ndarray) -> Pairs:
        """The given rows (numbers, or one bool a row) in the given order; the rest is counted."""
        return self.take(indices)

    def swapped(self) -> Pairs:
        """Every pair with its sides exchanged: the null of whatever is learnt from the pairs."""
        return Pairs(
            self.prompts,
            self.rejected,
            self.chosen,
            self.rejected_score,
            self.chosen_score,
            f"{self.name}, swapped",
            self.origin.without({}, "sides swapped"),
            self.provenance,
        )

    def split(
        self,
        shares: Mapping[str, float] = SHARES,
        salt: str = "bezoar-pairs-1",
        near: float | None = 0.7,
    ) -> dict[str, Pairs]:
        """Parts by hash of the prompt, so that no prompt stands in two of them.

        Pairs without a prompt stay together where they share a side, as rewrites of one sentence
        do.

        Args:
            shares: of each part by name; they sum to 1.
            salt: other salts, other parts.
            near: prompts (or, without one, rejected sides) of this Jaccard similarity of word
                pairs stay in one part; None to go by equal texts alone.

        Raises:
            DataError: if the shares do not sum to 1.
        """
        keys = [text_key(prompt) if prompt else None for prompt in self.prompts]
        sides = [
            [None if k or not text else text_key(text) for k, text in zip(keys, side, strict=True)]
            for side in (self.rejected, self.chosen)
        ]
        unit = joint_groups(keys, *sides) if len(self) else np.zeros(0, dtype=np.intp)
        names: dict[int, str] = {}  # of a unit: its smallest key, which no order of rows changes
        for number, *row in zip(unit.tolist(), keys, *sides, strict=True):
            names[number] = min([*filter(None, row), names.get(number, "g")])
        parts = hash_split([names[number] for number in range(len(names))], shares, salt)
        part = np.zeros(len(names), dtype=np.intp)
        for number, units in enumerate(parts.values()):
            part[units] = number
        while near is not None and self._gather_near(unit, part, len(shares), near):
            pass
        return {
            name: self.take(np.flatnonzero(part[unit] == number), left_out="in another part")
            for number, name in enumerate(shares)
        }

    @classmethod
    def _cells(cls, column: pa.ChunkedArray) -> tuple[Any, ...]:
        return tuple(column.to_pylist())

    def _gather_near(self, unit: np.ndarray, part: np.ndarray, n_parts: int, near: float) -> bool:
        """Pull units into earlier parts, in place; whether any moved (parts only fall)."""
        texts = [prompt or side for prompt, side in zip(self.prompts, self.rejected, strict=True)]
        moved = False
        for later in range(1, n_parts):
            for earlier in range(later):
                rows_a, rows_b = (np.flatnonzero(part[unit] == n) for n in (later, earlier))
                texts_a, texts_b = ([texts[row] for row in rows] for rows in (rows_a, rows_b))
                found = near_duplicates(texts_a, texts_b, near)
                part[unit[rows_a[list(found.a)]]] = earlier
                moved |= len(found) > 0
        return moved


def _scores(values: Sequence[float], name: str) -> tuple[float, ...]:
    scores = tuple(float(value) for value in values)
    wrong = [(row, score) for row, score in enumerate(scores) if not 0 <= score <= 1]
    if wrong:
        raise DataError(
            f"{name} of pair {wrong[0][0]} is {wrong[0][1]:g}: scores lie in [0, 1].",
            hint="Scale the scores.",
        )
    return scores
