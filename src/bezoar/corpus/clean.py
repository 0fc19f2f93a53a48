"""Dropping what cannot be learnt from, with every dropped row listed under its reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from bezoar.corpus.corpus import Corpus
from bezoar.errors import DataError
from bezoar.runs.results import Result
from bezoar.stats.splits import text_key

REASONS = {
    "empty": "no text, or blanks only",
    "conflict": "the same text with both labels",
    "duplicate": "the same text again (case, width and blanks ignored)",
}


@dataclass(frozen=True, slots=True)
class CleaningReport(Result):
    """What ``clean`` dropped.

    Attributes:
        rows_in: texts before.
        rows_out: texts after.
        dropped: row numbers (from 0) in the corpus before, by reason; see ``REASONS``.
    """

    rows_in: int
    rows_out: int
    dropped: dict[str, tuple[int, ...]]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(rows)} {reason}" for reason, rows in self.dropped.items() if rows)
        return f"{self.rows_out} of {self.rows_in} texts kept" + (f" ({counts})" if counts else "")


def clean(corpus: Corpus) -> tuple[Corpus, CleaningReport]:
    """Drop empty texts, repeats, and texts that bear both labels.

    Of repeats the first stays; of a text with both labels none does, since nothing says which
    label is right.

    Raises:
        DataError: if nothing is left.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    dropped: dict[str, list[int]] = {reason: [] for reason in REASONS}
    for row, text in enumerate(corpus.texts):
        if _says_nothing(text):
            dropped["empty"].append(row)
        else:
            rows_of[text_key(text)].append(row)
    for rows in rows_of.values():
        if len(set(corpus.labels[rows].tolist())) > 1:
            dropped["conflict"] += rows
        else:
            dropped["duplicate"] += rows[1:]
    keep = np.ones(len(corpus), dtype=bool)
    for rows in dropped.values():
        keep[rows] = False
    report = CleaningReport(
        rows_in=len(corpus),
        rows_out=int(keep.sum()),
        dropped={reason: tuple(sorted(rows)) for reason, rows in dropped.items()},
    )
    if not keep.any():
        raise DataError(f"Nothing is left of {corpus.name!r}: {report}.")
    return (corpus if keep.all() else corpus.take(keep, note=str(report))), report


def _says_nothing(text: str) -> bool:
    # Zero-width characters and replaced bytes are no content either.
    return not text.strip().strip("\ufeff\u200b\u2060\ufffd \t\r\n")
