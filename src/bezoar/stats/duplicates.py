"""Near duplicates across a split: exact, by prefix filtering.

A text is the set of its word pairs (case, width and punctuation ignored); two texts are near
duplicates when the Jaccard similarity |A ∩ B| / |A ∪ B| reaches a threshold t. Comparing all pairs
is not needed: sort every set by one global order, rarest first; if the similarity reaches t, the
first |A| − ⌈t|A|⌉ + 1 members of the two sets share one (Chaudhuri et al. 2006; Bayardo et al.
2007). Unlike MinHash this misses no pair and draws nothing at random.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bezoar.errors import DataError
from bezoar.runs.results import Result
from bezoar.stats.splits import RowIndex, normalise

# Scripts that set no blanks between words are taken sign by sign.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
_BUCKETS = 2**20


@dataclass(frozen=True, slots=True)
class NearDuplicates(Result):
    """Rows of ``a`` that have a near duplicate in ``b``: the nearest one, and how near.

    Attributes:
        a: row numbers in the first list, rising.
        b: for each, the row in the second list that is most similar (the first of equals).
        similarity: Jaccard similarity of the two, in [threshold, 1].
        threshold: the similarity asked for.
    """

    a: tuple[int, ...]
    b: tuple[int, ...]
    similarity: tuple[float, ...]
    threshold: float

    def __len__(self) -> int:
        return len(self.a)


def near_duplicates(
    texts_a: Sequence[str], texts_b: Sequence[str], threshold: float = 0.7
) -> NearDuplicates:
    """Rows of ``texts_a`` that some row of ``texts_b`` (nearly) repeats.

    At the default, one word changed in a sentence of fourteen is found. Memory grows with
    ``texts_b``: about eight bytes a word, and as much again for the index.
    """
    _check(threshold)
    frequency = _bucket_counts(texts_a, texts_b)
    sets: dict[int, array[int]] = {}
    index: dict[int, list[int]] = defaultdict(list)
    for row, members in _distinct(texts_b):
        sets[row] = array("q", members)
        for member in _prefix(members, frequency, threshold):
            index[member].append(row)
    rows: list[int] = []
    nearest: list[tuple[float, int]] = []
    for row, text in enumerate(texts_a):
        members = _word_pairs(text)
        candidates = {
            near
            for member in _prefix(members, frequency, threshold)
            for near in index.get(member, ())
        }
        similar = [(_jaccard(members, sets[near]), -near) for near in candidates]
        if similar and max(similar)[0] >= threshold:
            rows.append(row)
            nearest.append(max(similar))
    return NearDuplicates(
        a=tuple(rows),
        b=tuple(-near for _, near in nearest),
        similarity=tuple(similarity for similarity, _ in nearest),
        threshold=threshold,
    )


def near_groups(texts: Sequence[str], threshold: float = 0.7) -> RowIndex:
    """The group of each row, counted from 0: near duplicates, and theirs, share one.

    Two rows of different groups are less alike than ``threshold``; two of one group may be, too,
    where others lie between them.
    """
    _check(threshold)
    frequency = _bucket_counts(texts)
    sets: dict[int, array[int]] = {}
    index: dict[int, list[int]] = defaultdict(list)
    first: dict[int, int] = {}
    parent = list(range(len(texts)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for row, text in enumerate(texts):
        members = _word_pairs(text)
        same = first.setdefault(hash(frozenset(members)), row)
        if same != row:
            parent[row] = root(same)
            continue
        prefix = _prefix(members, frequency, threshold)
        for near in {near for member in prefix for near in index.get(member, ())}:
            here, there = root(row), root(near)
            sizes = sorted((len(members), len(sets[near])))
            if here == there or sizes[0] < threshold * sizes[1] - 1e-9:
                continue  # joined already, or one is too long to be like the other
            if _jaccard(members, sets[near]) >= threshold:
                parent[here] = there
        sets[row] = array("q", members)
        for member in prefix:
            index[member].append(row)
    roots = np.array([root(row) for row in range(len(texts))], dtype=np.int64)
    names, group = np.unique(roots, return_inverse=True)
    seen_at = np.full(len(names), len(texts))
    np.minimum.at(seen_at, group, np.arange(len(texts)))
    return np.argsort(np.argsort(seen_at))[group]


def shared_runs(texts_a: Sequence[str], texts_b: Sequence[str], words: int = 8) -> tuple[int, ...]:
    """Rows of ``texts_a`` of which so many successive words stand in some row of ``texts_b``.

    Finds a sentence in the page that it was taken from, though the two are no near duplicates. Of
    a text that has fewer words, all of them are looked for. Case, width and punctuation make no
    difference.
    """
    if words < 1:
        raise DataError(f"words is {words}.", hint="Give 1 or more.")
    split_a, split_b = ([_WORD.findall(normalise(text)) for text in t] for t in (texts_a, texts_b))
    sizes = [min(words, len(text)) for text in split_a]
    known = {n: {run for text in split_b for run in _runs(text, n)} for n in {*sizes} - {0}}
    return tuple(
        row
        for row, (text, n) in enumerate(zip(split_a, sizes, strict=True))
        if n and any(run in known[n] for run in _runs(text, n))
    )


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise DataError(f"threshold is {threshold}.", hint="Give a similarity in (0, 1].")


def _runs(words: list[str], n: int) -> Iterator[int]:
    return (hash(tuple(words[i : i + n])) for i in range(len(words) - n + 1))


def _word_pairs(text: str) -> set[int]:
    """Hashes of the neighbouring words of a text; a single word, or none, is taken whole."""
    plain = normalise(text)
    words = _WORD.findall(plain)
    if len(words) < 2:
        return {hash(words[0] if words else plain)}
    return {hash(pair) for pair in pairwise(words)}


def _distinct(texts: Sequence[str]) -> Iterator[tuple[int, set[int]]]:
    """The rows whose word pairs no earlier row has: a text posted a thousand times counts once."""
    seen: set[int] = set()
    for row, text in enumerate(texts):
        members = _word_pairs(text)
        key = hash(frozenset(members))
        if key not in seen:
            seen.add(key)
            yield row, members


def _bucket_counts(*lists: Sequence[str]) -> np.ndarray:
    counts = np.zeros(_BUCKETS, dtype=np.int64)
    for texts in lists:
        for text in texts:
            members = _word_pairs(text)
            counts[np.fromiter(members, np.int64, len(members)) % _BUCKETS] += 1
    return counts


def _prefix(members: set[int], frequency: np.ndarray, threshold: float) -> list[int]:
    # Any one order of all pairs will do; counting by bucket keeps the count small.
    # 1e-9: a product such as 0.7 · 10 that rounds above 7 must not cut the prefix short.
    keep = len(members) - math.ceil(threshold * len(members) - 1e-9) + 1
    sorted_by = sorted(members)
    counts = frequency[np.array(sorted_by) % _BUCKETS]
    return [sorted_by[i] for i in np.argsort(counts, kind="stable")[:keep].tolist()]


def _jaccard(a: set[int], b: array[int]) -> float:
    shared = len(a.intersection(b))
    return shared / (len(a) + len(b) - shared)
