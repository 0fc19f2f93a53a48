"""Texts too short or too broken to mean anything, each left out for a reason that is written down.

The SAE safety-probing project (denisalpino/safety_alignment) keeps prompts of at least 15
characters, and its data set asks for fragments such as "how to" to be filtered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Bool

from bezoar.corpus.corpus import Corpus, Unlabelled
from bezoar.corpus.labels import says_nothing
from bezoar.errors import DataError
from bezoar.runs.results import Result, atomic_write

T = TypeVar("T", Corpus, Unlabelled)

MIN_CHARACTERS = 15
MIN_WORDS = 2
REASONS = {
    "empty": "no text, or blanks only",
    "short": "fewer characters than asked",
    "no words": "signs, numbers and links only",
    "fragment": "a single word, or cut off where a word must follow",
}

# Of scripts that set no blanks between words, a sign is a word, and says what three letters do.
_SIGN = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LINK = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+")
_NUMBER = re.compile(r"\d[\d.,:]*")
_LETTERS_A_SIGN = 3
# Words of which another must follow: no sentence ends in them.
_OPEN = frozenset(
    ["a", "an", "the", "and", "or", "but", "my", "your", "their", "our", "every", "whose", "than"]
)
_OPEN_PAIRS = frozenset({"how to", "what is", "what are", "who is", "how do", "how can", "is the"})


@dataclass(frozen=True, slots=True)
class NoiseReport(Result):
    """What ``filter_noise`` left out.

    Attributes:
        rows_in, rows_out: texts before and after.
        dropped: row numbers (from 0) of the texts before, by reason; see ``REASONS``.
        min_characters, min_words: what was asked of a text.
    """

    rows_in: int
    rows_out: int
    dropped: dict[str, tuple[int, ...]]
    min_characters: int
    min_words: int

    @property
    def keep(self) -> Bool[np.ndarray, " text"]:
        """Which of the texts before are kept."""
        keep = np.ones(self.rows_in, dtype=bool)
        for rows in self.dropped.values():
            keep[list(rows)] = False
        return keep

    @property
    def counts(self) -> dict[str, int]:
        """How many were left out for each reason that there was."""
        return {reason: len(rows) for reason, rows in self.dropped.items() if rows}

    def __str__(self) -> str:
        told = ", ".join(f"{n:,} {reason}" for reason, n in self.counts.items())
        return f"{self.rows_out:,} of {self.rows_in:,} texts kept" + (f" ({told})" if told else "")


def filter_noise(
    texts: T, *, min_characters: int = MIN_CHARACTERS, min_words: int = MIN_WORDS
) -> tuple[T, NoiseReport]:
    """Leave out texts that are too short, hold no word, or are fragments.

    A sign of Chinese, Japanese, Korean or Thai counts as a word, and as three characters.

    Args:
        texts: not changed.
        min_characters: without the blanks around them; 0 asks for none.
        min_words: 0 or 1 keeps fragments too.

    Raises:
        DataError: if nothing is left, or none of a label that was there.
    """
    report = find_noise(texts.texts, min_characters=min_characters, min_words=min_words)
    keep = report.keep
    if keep.all():
        return texts, report
    told = "; ".join(f"{reason}: {REASONS[reason]}" for reason in report.counts)
    hint = f"Ask for less than {min_characters} characters. {told}."
    if not keep.any():
        raise DataError(f"Nothing is left of {texts.name!r}: {report}.", hint=hint)
    kept = texts.take(keep, note=str(report), left_out=report.counts)
    if isinstance(texts, Corpus) and isinstance(kept, Corpus):
        texts.keep_both_labels(kept, f"The noise filter ({report})", hint)
    return kept, report


def find_noise(
    texts: Sequence[str], *, min_characters: int = MIN_CHARACTERS, min_words: int = MIN_WORDS
) -> NoiseReport:
    """Which texts `filter_noise` would leave out."""
    dropped: dict[str, list[int]] = {reason: [] for reason in REASONS}
    for row, text in enumerate(texts):
        if reason := noise_of(text, min_characters, min_words):
            dropped[reason].append(row)
    return NoiseReport(
        rows_in=len(texts),
        rows_out=len(texts) - sum(map(len, dropped.values())),
        dropped={reason: tuple(rows) for reason, rows in dropped.items()},
        min_characters=min_characters,
        min_words=min_words,
    )


def noise_of(text: str, min_characters: int = MIN_CHARACTERS, min_words: int = MIN_WORDS) -> str:
    """Why a text is noise, one of ``REASONS``; "" if it is none."""
    if says_nothing(text):
        return "empty"
    plain = text.strip()
    signs = len(_SIGN.findall(plain))
    if len(plain) + (_LETTERS_A_SIGN - 1) * signs < min_characters:
        return "short"
    words = _WORD.findall(_SIGN.sub(" ", _LINK.sub(" ", plain)))
    if not words and not signs:
        return "no words"
    said = len(words) + signs + len(_NUMBER.findall(plain))
    if min_words > 1 and (said < min_words or (not signs and _cut_off(plain, words))):
        return "fragment"
    return ""


def _cut_off(plain: str, words: list[str]) -> bool:
    """Whether a text stops where its last word needs another."""
    if not plain.endswith(words[-1]):
        return False  # it ends in a sign: somebody ended it
    pair = " ".join(words).lower()
    if words[-1] == "A":
        return False  # the letter
    return words[-1].lower() in _OPEN or (len(words) == 2 and pair in _OPEN_PAIRS)


def save_dropped(path: Path, texts: Corpus | Unlabelled, report: NoiseReport) -> None:
    """List what was left out, a JSON object a line: row (from 1), reason, source, text.

    Args:
        path: the file.
        texts: before they were filtered.
        report: what was left out of them.
    """
    reasons = {row: reason for reason, rows in report.dropped.items() for row in rows}
    lines = []
    for row in sorted(reasons):
        told: dict[str, object] = {"row": row + 1, "reason": reasons[row]}
        if texts.source is not None:
            told["source"] = texts.source[row]
        if isinstance(texts, Corpus):
            told["label"] = int(texts.labels[row])
        lines.append(json.dumps(told | {"text": texts.texts[row]}, ensure_ascii=True) + "\n")
    atomic_write(path, "".join(lines).encode())
