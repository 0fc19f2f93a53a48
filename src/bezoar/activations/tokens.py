"""Texts as token ids, made once and kept at four bytes a token."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int32, Int64

from bezoar.errors import DataError
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress, track

_CHUNK = 512


@dataclass(frozen=True, slots=True, eq=False)
class TokenTable:
    """Token ids of many texts, end to end.

    Attributes:
        ids: all ids, text after text.
        offsets: text i has ``ids[offsets[i] : offsets[i + 1]]``.
        max_tokens: where texts were cut.
        truncated: how many were.
        starts: how many tokens of each text only come before those that are meant, as a prompt
            does: a model reads them, and nothing of them is kept. None where all are meant.
    """

    ids: Int32[np.ndarray, " tokens"]
    offsets: Int64[np.ndarray, " texts_and_one"]
    max_tokens: int
    truncated: int
    starts: Int64[np.ndarray, " texts"] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64[np.ndarray, " texts"]:
        """Tokens of each text."""
        return np.diff(self.offsets)

    @property
    def kept(self) -> Int64[np.ndarray, " texts"]:
        """Tokens of each text that are meant."""
        return self.lengths if self.starts is None else self.lengths - self.starts

    @property
    def kept_ids(self) -> Int32[np.ndarray, " kept"]:
        """These tokens, text after text."""
        if self.starts is None:
            return self.ids
        place = np.arange(len(self.ids)) - np.repeat(self.offsets[:-1], self.lengths)
        return self.ids[place >= np.repeat(self.starts, self.lengths)]

    def rows(self, texts: Sequence[int] | np.ndarray) -> list[list[int]]:
        """The ids of some texts, by number."""
        return [self.ids[self.offsets[i] : self.offsets[i + 1]].tolist() for i in texts]

    def take(self, texts: Sequence[int] | np.ndarray) -> TokenTable:
        """Some texts only, by number."""
        chosen = np.asarray(texts, dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(self.lengths[chosen])]).astype(np.int64)
        ids = [self.ids[self.offsets[i] : self.offsets[i + 1]] for i in chosen]
        joined = np.concatenate(ids) if ids else self.ids[:0]
        starts = None if self.starts is None else self.starts[chosen]
        return replace(self, ids=joined, offsets=offsets, starts=starts)

    def without_first(self, positions: int) -> TokenTable:
        """The same, the first positions of each text not meant; texts that have no others left out.

        Args:
            positions: counted from the beginning of what the model reads.
        """
        starts = np.maximum(0 if self.starts is None else self.starts, positions)
        starts = np.broadcast_to(starts, (len(self),)).astype(np.int64)
        left = np.flatnonzero(self.lengths > starts)
        return replace(self.take(left), starts=starts[left])

    @property
    def digest(self) -> str:
        """A hash of all ids and where texts begin: equal only for what a model reads as equal."""
        both = hashlib.sha256(self.offsets.astype("<i8").tobytes())
        both.update(self.ids.astype("<i4").tobytes())
        if self.starts is not None:
            both.update(self.starts.astype("<i8").tobytes())
        return both.hexdigest()


def tokenise(
    lm: LanguageModel,
    texts: Sequence[str],
    max_tokens: int | None = None,
    progress: Progress | None = None,
) -> TokenTable:
    """Encode texts, cut to ``max_tokens`` (at most, and by default, the model's context).

    Raises:
        DataError: if there is no text, or a text gives no token (no row is dropped in silence).
    """
    limit = lm.context if max_tokens is None else min(max_tokens, lm.context)
    if not len(texts) or limit < 1:
        raise DataError(
            f"{len(texts)} texts of at most {limit} tokens cannot be read.", hint="Give some."
        )
    pieces: list[np.ndarray] = []
    lengths: list[int] = []
    truncated = 0
    starts = range(0, len(texts), _CHUNK)
    for start in track(progress, starts, "Tokenising", unit=f"× {_CHUNK} texts"):
        rows = lm.encode(texts[start : start + _CHUNK])
        truncated += sum(len(row) > limit for row in rows)
        rows = [row[:limit] for row in rows]
        lengths += [len(row) for row in rows]
        pieces.append(np.array([token for row in rows for token in row], dtype=np.int32))
    _refuse_empty(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenTable(np.concatenate(pieces), offsets, limit, truncated)


def _refuse_empty(lengths: list[int]) -> None:
    empty = [row for row, length in enumerate(lengths) if length == 0]
    if empty:
        shown = ", ".join(map(str, empty[:5])) + (", …" if len(empty) > 5 else "")
        raise DataError(
            f"{len(empty)} of {len(lengths)} texts give no token (rows {shown}).",
            hint="Drop empty texts first (corpus.clean does, and counts them).",
        )
