"""Dropping what cannot be learnt from, with every dropped row listed under its reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from bezoar.corpus.corpus import Corpus
from bezoar.corpus.labels import says_nothing
from bezoar.corpus.table import quoted
from bezoar.errors import DataError
from bezoar.runs.results import Result
from bezoar.stats.splits import text_key

_SHOWN = 5
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
        conflicts: the first few texts that bear both labels, each with its rows.
        across_splits: of the duplicates, those whose first is in another split.
    """

    rows_in: int
    rows_out: int
    dropped: dict[str, tuple[int, ...]]
    conflicts: tuple[str, ...] = ()
    across_splits: int = 0

    def __str__(self) -> str:
        counts = [f"{len(rows)} {reason}" for reason, rows in self.dropped.items() if rows]
        if self.across_splits:
            counts[-1] += f", {self.across_splits} of them of another split"
        kept = f"{self.rows_out} of {self.rows_in} texts kept"
        return kept + (f" ({', '.join(counts)})" if counts else "")


def clean(corpus: Corpus) -> tuple[Corpus, CleaningReport]:
    """Drop empty texts, repeats, and texts that bear both labels.

    Of repeats the first stays; of a text with both labels none does, since nothing says which
    label is right.

    Raises:
        DataError: if nothing is left, or none of a label that was there.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    dropped: dict[str, list[int]] = {reason: [] for reason in REASONS}
    conflicts: list[str] = []
    across = 0
    for row, text in enumerate(corpus.texts):
        if says_nothing(text):
            dropped["empty"].append(row)
        else:
            rows_of[text_key(text)].append(row)
    for rows in rows_of.values():
        if len(set(corpus.labels[rows].tolist())) > 1:
            dropped["conflict"] += rows
            conflicts.append(_conflict(corpus, rows))
        else:
            dropped["duplicate"] += rows[1:]
            if corpus.split is not None:
                across += sum(corpus.split[row] != corpus.split[rows[0]] for row in rows[1:])
    keep = np.ones(len(corpus), dtype=bool)
    for rows in dropped.values():
        keep[rows] = False
    report = CleaningReport(
        rows_in=len(corpus),
        rows_out=int(keep.sum()),
        dropped={reason: tuple(sorted(rows)) for reason, rows in dropped.items()},
        conflicts=tuple(conflicts[:_SHOWN]),
        across_splits=across,
    )
    hint = "; ".join(f"{reason} is {REASONS[reason]}" for reason in dropped if dropped[reason])
    hint = ". ".join([hint, *conflicts[:1]]) + "."
    if not keep.any():
        raise DataError(f"Nothing is left of {corpus.name!r}: {report}.", hint=hint)
    if keep.all():
        return corpus, report
    counts = {reason: len(rows) for reason, rows in dropped.items()}
    kept = corpus.take(keep, note=str(report), left_out=counts)
    corpus.keep_both_labels(kept, f"Cleaning {corpus.name!r}: {report}, which", hint)
    return kept, report


def _conflict(corpus: Corpus, rows: list[int]) -> str:
    """Which rows bear which label, and the text."""
    shown = [f"{row} (label {corpus.labels[row]})" for row in rows]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"Rows {', '.join(shown[:_SHOWN])}{more} have one text: {quoted(corpus.texts[rows[0]])}"
