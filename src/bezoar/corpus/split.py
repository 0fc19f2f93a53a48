"""Train, select and report: three parts that share no text, no near repeat and no group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from bezoar.corpus.corpus import Corpus
from bezoar.corpus.table import listed, quoted
from bezoar.errors import DataError
from bezoar.stats.duplicates import near_duplicates
from bezoar.stats.splits import joint_groups, text_key, unit_hash

PARTS = ("train", "select", "report")
SPLIT_WORDS = {
    "train": ("train", "training", "fit"),
    "select": ("select", "selection", "dev", "development", "val", "valid", "validation"),
    "report": ("report", "test", "testing", "heldout", "holdout", "eval", "evaluation"),
}
"""What corpora call the parts, without case, blanks, hyphens and underscores."""

_PART_OF = {word: part for part, words in SPLIT_WORDS.items() for word in words}
_SALT = "bezoar-split-1"


class CorpusSplits(NamedTuple):
    """The three parts: to fit on, to choose by, and to report on once."""

    train: Corpus
    select: Corpus
    report: Corpus


def split_corpus(
    corpus: Corpus,
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2),
    *,
    near: float | None = 0.7,
) -> CorpusSplits:
    """Split by the hash of the text, so that the same text falls on the same side everywhere.

    Rows of one group stay together, and so do repeats; a row that nearly repeats one of an earlier
    part moves there with its group, until no part nearly repeats another. A corpus with a ``split``
    column keeps that split (see ``own_parts``); there a row that nearly repeats one of a later part
    is left out, and counted in the origin of every part. Where it has no select part, that is cut
    from its train part by hash.

    Args:
        corpus: cleaned, or repeats cost time.
        shares: of train, select and report; they sum to 1.
        near: similarity from which on two texts are near repeats; None does not look.

    Raises:
        DataError: if a part would be empty or hold one label only, or the corpus brings a split
            that is not understood.
    """
    if abs(sum(shares) - 1) > 1e-9 or min(shares) <= 0:
        raise DataError(
            f"The shares {shares} sum to {sum(shares):g}.", hint="Make it 1, each above 0."
        )
    corpus.need_both_labels()
    if corpus.split is not None:
        named, said = own_parts(corpus.split, f"The split of {corpus.name!r}")
        corpus = replace(corpus, split=named, origin=corpus.origin.without({}, said))
        corpus = _without_repeats_of_later_parts(corpus, near)
        part = _by_column(corpus, shares, near)
    else:
        part = _by_hash(corpus, shares, near)
    parts = []
    for number, name in enumerate(PARTS):
        chosen = part == number
        labels = set(corpus.labels[chosen].tolist())
        if labels != {0, 1}:
            ones = int(corpus.labels.sum())
            why = ", whose groups stay together" * (corpus.group is not None)
            raise DataError(
                f"{corpus.name!r} has {len(corpus) - ones} texts of label 0 and {ones} of label 1"
                f"{why}: too few for three parts with both. Its {name} part would have "
                f"{chosen.sum()} texts, {'none' if not labels else f'all of label {min(labels)}'}.",
                hint="Give more labelled texts of the rarer kind.",
            )
        note = f"the {name} part, {chosen.sum()} of {len(corpus)}"
        parts.append(corpus.take(chosen, note=note, left_out="in another part"))
    return CorpusSplits(*parts)


def own_parts(names: Sequence[str], where: str) -> tuple[tuple[str, ...], str]:
    """The part that each word of a split column means.

    Args:
        names: the column.
        where: it stands, for the message.

    Returns:
        Train, select or report for each row, and a note of the words that were taken for others
        (empty if none was).

    Raises:
        DataError: naming the words seen, if one of them is not in ``SPLIT_WORDS``.
    """
    meant = {name: _PART_OF.get(re.sub(r"[\s_-]", "", name.casefold())) for name in names}
    seen = sorted(meant)
    unknown = [name for name in seen if meant[name] is None]
    if unknown:
        words = "; ".join(f"{part}: {', '.join(words)}" for part, words in SPLIT_WORDS.items())
        raise DataError(
            f"{where} holds {listed(seen)}, and what {listed(unknown)} means is not known.",
            hint=f"Use one of these words ({words}), or do not name the column.",
        )
    said = [f"{quoted(name)} taken for {meant[name]}" for name in seen if meant[name] != name]
    return tuple(meant[name] or "" for name in names), f"split: {', '.join(said)}" if said else ""


def _by_column(
    corpus: Corpus, shares: tuple[float, float, float], near: float | None
) -> Int[np.ndarray, " text"]:
    """The corpus's own parts; of train and report alone, a select part is cut from train."""
    names = corpus.split or ()
    missing = [part for part in ("train", "report") if part not in names]
    if missing:
        raise DataError(
            f"The split of {corpus.name!r} has no {' and no '.join(missing)} part: it holds "
            f"{listed(sorted(set(names)))}.",
            hint="Name no split column: then the texts are split by hash.",
        )
    part = np.array([PARTS.index(name) for name in names])
    if "select" not in names:
        rows = np.flatnonzero(part == 0)
        both = shares[0] + shares[1]
        part[rows] = _by_hash(corpus.take(rows), (shares[0] / both, shares[1] / both, 0.0), near)
    return part


def _without_repeats_of_later_parts(corpus: Corpus, near: float | None) -> Corpus:
    """What is reported on stays; what was to be learnt from goes where the two are alike."""
    if near is None or corpus.split is None:
        return corpus
    keep = np.ones(len(corpus), dtype=bool)
    part = np.array([PARTS.index(name) for name in corpus.split])
    for earlier, later in ((1, 2), (0, 2), (0, 1)):
        rows = [np.flatnonzero((part == number) & keep) for number in (earlier, later)]
        texts_a, texts_b = ([corpus.texts[row] for row in side] for side in rows)
        keep[rows[0][list(near_duplicates(texts_a, texts_b, near).a)]] = False
    if keep.all():
        return corpus
    note = f"{(~keep).sum()} texts that nearly repeat one of a later part left out"
    return corpus.take(keep, note=note, left_out="nearly repeats a later part")


def _by_hash(
    corpus: Corpus, shares: tuple[float, float, float], near: float | None
) -> Int[np.ndarray, " text"]:
    keys = [text_key(text) for text in corpus.texts]
    named = [name or None for name in corpus.group or [""] * len(corpus)]
    unit = joint_groups(keys, named)
    # A unit is named by its smallest key, which no order of the rows changes.
    names: dict[int, str] = {}
    for number, key in zip(unit.tolist(), keys, strict=True):
        names[number] = min(names.get(number, key), key)
    hashes = np.array([unit_hash(names[number], _SALT) for number in range(len(names))])
    part_of_unit = np.searchsorted(np.cumsum(shares)[:-1], hashes, side="right")
    while near is not None and _move_near_repeats(corpus, unit, part_of_unit, near):
        pass
    return part_of_unit[unit]


def _move_near_repeats(
    corpus: Corpus, unit: np.ndarray, part_of_unit: np.ndarray, near: float
) -> bool:
    """Pull units into earlier parts, in place; whether any moved (parts only fall, so it ends)."""
    moved = False
    for later, earlier in ((1, 0), (2, 0), (2, 1)):
        rows_a = np.flatnonzero(part_of_unit[unit] == later)
        rows_b = np.flatnonzero(part_of_unit[unit] == earlier)
        texts_a, texts_b = ([corpus.texts[row] for row in rows] for rows in (rows_a, rows_b))
        found = near_duplicates(texts_a, texts_b, near)
        part_of_unit[unit[rows_a[list(found.a)]]] = earlier
        moved |= len(found) > 0
    return moved
