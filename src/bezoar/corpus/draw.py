"""Fewer texts than there are: drawn by hash, so that the order of a file makes no difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np

from bezoar.corpus.corpus import Corpus, Prompts, Unlabelled
from bezoar.errors import DataError
from bezoar.stats.splits import unit_hash

D = TypeVar("D", bound=Corpus | Prompts | Unlabelled)

LIMIT = "beyond the limit"
"""Why texts are left out here."""


def check_limit(limit: int | None) -> None:
    """Refuse a limit that keeps nothing.

    Raises:
        DataError: if it is below 1.
    """
    if limit is not None and limit < 1:
        raise DataError(f"A limit of {limit} keeps nothing.", hint="Give 1 or more, or none.")


def balanced(corpus: Corpus, limit: int | None, seed: int) -> Corpus:
    """At most ``limit`` texts, drawn by ``seed``, as many of each label as there are.

    Raises:
        DataError: if that leaves no text of a label.
    """
    if limit is None or limit >= len(corpus):
        return corpus
    negative, positive = (np.flatnonzero(corpus.labels == label) for label in (0, 1))
    n_positive = min(len(positive), max(limit // 2, limit - len(negative)))
    rows = [
        lowest(corpus.texts, negative, limit - n_positive, seed),
        lowest(corpus.texts, positive, n_positive, seed),
    ]
    chosen = np.sort(np.concatenate(rows))
    note = f"{len(chosen)} of {len(corpus)} texts drawn, seed {seed}"
    kept = corpus.take(chosen, note=note, left_out=LIMIT)
    corpus.keep_both_labels(kept, f"A limit of {limit}", "Raise it.")
    return kept


def drawn(rows: D, limit: int | None, seed: int, what: str) -> D:
    """At most ``limit`` of some rows, drawn by ``seed``; ``what`` they are called in the note."""
    if limit is None or limit >= len(rows):
        return rows
    chosen = np.sort(lowest(rows.texts, np.arange(len(rows)), limit, seed))
    note = f"{limit} of {len(rows)} {what} drawn, seed {seed}"
    return cast(D, rows.take(chosen, note=note, left_out=LIMIT))


def lowest(texts: Sequence[str], rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The ``n`` rows whose texts hash lowest: the same ones whatever the order of the file."""
    keys = [unit_hash(texts[row], f"limit-{seed}") for row in rows]
    return rows[np.argsort(keys, kind="stable")[:n]]
