"""Looking at a corpus before anything is believed: counts, lengths, words, shortcuts, repeats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from bezoar.corpus.clean import CleaningReport, clean
from bezoar.corpus.corpus import Corpus
from bezoar.corpus.shortcuts import Shortcut, find_shortcuts
from bezoar.errors import DataError
from bezoar.runs.results import Result
from bezoar.stats.duplicates import near_duplicates
from bezoar.stats.splits import hash_halves, unit_hash

if TYPE_CHECKING:
    from rich.console import RenderableType

_WORD = re.compile(r"\w+")
_EXAMPLE_CHARACTERS = 300
_WORD_CHARACTERS = 40


@runtime_checkable
class Encoder(Protocol):
    """What is needed of a language model here: tokens of texts."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...


@dataclass(frozen=True, slots=True)
class GroupCount(Result):
    """Texts of one source, category and label, and their mean length in characters."""

    source: str
    category: str
    label: int
    n: int
    mean_characters: float


@dataclass(frozen=True, slots=True)
class Lengths(Result):
    """How long the texts of each class are.

    Attributes:
        unit: characters, words or tokens.
        edges: of the histogram's bins, one more than there are counts; equal steps of the
            logarithm of (length + 1).
        counts: histogram per label.
        mean: per label; so are ``sd``, ``smallest``, ``median`` and ``largest``.
    """

    unit: str
    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], tuple[int, ...]]
    mean: tuple[float, float]
    sd: tuple[float, float]
    smallest: tuple[int, int]
    median: tuple[float, float]
    largest: tuple[int, int]


@dataclass(frozen=True, slots=True, repr=False)
class WordOdds(Result):
    """How strongly a word marks a class: z of the log odds ratio (Monroe et al. 2008)."""

    word: str
    z: float
    counts: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Vocabulary(Result):
    """The words of the classes.

    Attributes:
        types: distinct words per label.
        shared: distinct words of both.
        jaccard: shared / distinct words of either.
        marks: the words that most mark label 0, then those that most mark label 1.
    """

    types: tuple[int, int]
    shared: int
    jaccard: float
    marks: tuple[tuple[WordOdds, ...], tuple[WordOdds, ...]]


@dataclass(frozen=True, slots=True)
class NearRepeats(Result):
    """Texts that nearly repeat another.

    Attributes:
        across_labels: texts of label 1 that nearly repeat one of label 0.
        across_halves: texts of one random half that nearly repeat one of the other half.
        examples: pairs (label 1, label 0) that are most alike.
    """

    across_labels: int
    across_halves: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Example(Result):
    """A text, cut to 300 characters. It is shown masked."""

    source: str
    label: int
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Exploration(Result):
    """What ``explore`` saw, after cleaning.

    ``rows`` were read; ``n`` and the counts of ``left_out`` account for every one of them.
    """

    name: str
    n: int
    positive_share: float
    cleaning: CleaningReport
    counts: tuple[GroupCount, ...]
    lengths: tuple[Lengths, ...]
    vocabulary: Vocabulary
    shortcuts: tuple[Shortcut, ...]
    near_repeats: NearRepeats
    examples: tuple[Example, ...]
    warnings: tuple[str, ...]

    def __rich__(self) -> RenderableType:
        from bezoar.corpus.explore_table import exploration_table

        return exploration_table(self)

    rows: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def explore(corpus: Corpus, lm: Encoder | None = None, *, seed: int = 0) -> Exploration:
    """Look at a corpus.

    Args:
        corpus: both labels must be there. It is not changed.
        lm: gives lengths in its tokens too.
        seed: of the folds of the shortcut classifiers.

    Raises:
        DataError: if a label has fewer than ten texts.
    """
    kept, cleaning = clean(corpus)
    kept.need_both_labels()
    few = min(int((kept.labels == label).sum()) for label in (0, 1))
    if few < 10:
        raise DataError(
            f"{corpus.name!r} has {few} texts of its rarer label: at least 10 are needed.",
            hint="Check the label column and its positive value.",
        )
    units = {"characters": [len(text) for text in kept.texts]}
    units["words"] = [len(_WORD.findall(text)) for text in kept.texts]
    if lm is not None:
        units["tokens"] = [len(ids) for ids in lm.encode(kept.texts)]
    shortcuts = find_shortcuts(kept, seed)
    repeats = _near_repeats(kept)
    return Exploration(
        name=corpus.name,
        n=len(kept),
        positive_share=kept.positive_share,
        cleaning=cleaning,
        counts=_counts(kept),
        lengths=tuple(_lengths(unit, np.array(n), kept.labels) for unit, n in units.items()),
        vocabulary=_vocabulary(kept),
        shortcuts=shortcuts,
        near_repeats=repeats,
        examples=_examples(kept),
        warnings=tuple(s.warning for s in shortcuts if s.warning) + _warnings(kept, repeats),
        rows=kept.origin.rows or len(kept),
        left_out=kept.origin.left_out,
        notes=kept.origin.notes,
    )


def _warnings(corpus: Corpus, repeats: NearRepeats) -> tuple[str, ...]:
    found = []
    share = corpus.positive_share
    if not 0.1 <= share <= 0.9:
        found.append(f"{share:.1%} of the texts have label 1: read AUROC, not accuracy.")
    if repeats.across_labels > 0.02 * len(corpus):
        found.append(
            f"{repeats.across_labels} texts of label 1 nearly repeat one of label 0: the labels "
            "are noisy, or the pairs are meant."
        )
    return tuple(found)


def _counts(corpus: Corpus) -> tuple[GroupCount, ...]:
    source = corpus.source or ("",) * len(corpus)
    category = corpus.category or ("",) * len(corpus)
    sizes: dict[tuple[str, str, int], list[int]] = {}
    labels = corpus.labels.tolist()
    for text, *group in zip(corpus.texts, source, category, labels, strict=True):
        sizes.setdefault((group[0], group[1], group[2]), []).append(len(text))
    return tuple(
        GroupCount(*group, n=len(lengths), mean_characters=float(np.mean(lengths)))
        for group, lengths in sorted(sizes.items())
    )


def _lengths(unit: str, n: np.ndarray, labels: np.ndarray, bins: int = 40) -> Lengths:
    # Evenly wide on a log scale; whole lengths of few values would give bins of no width.
    edges = np.expm1(np.linspace(np.log1p(n.min()), np.log1p(max(n.max(), n.min() + 1)), bins + 1))
    edges[0], edges[-1] = n.min(), max(n.max(), n.min() + 1)  # not lost to rounding
    sides = [n[labels == label] for label in (0, 1)]
    counts = [np.histogram(side, bins=edges)[0] for side in sides]
    return Lengths(
        unit=unit,
        edges=tuple(edges.tolist()),
        counts=(tuple(counts[0].tolist()), tuple(counts[1].tolist())),
        mean=(float(sides[0].mean()), float(sides[1].mean())),
        sd=(float(sides[0].std()), float(sides[1].std())),
        smallest=(int(sides[0].min()), int(sides[1].min())),
        median=(float(np.median(sides[0])), float(np.median(sides[1]))),
        largest=(int(sides[0].max()), int(sides[1].max())),
    )


def _vocabulary(corpus: Corpus, top: int = 25, prior: float = 0.5) -> Vocabulary:
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for text, label in zip(corpus.texts, corpus.labels.tolist(), strict=True):
        counts[label].update(_WORD.findall(text.lower()))
    words = sorted(counts[0].keys() | counts[1].keys())
    n = np.array([[side[word] for word in words] for side in counts]) + prior
    logit = np.log(n) - np.log(n.sum(axis=1, keepdims=True) - n)
    z = (logit[1] - logit[0]) / np.sqrt((1 / n).sum(axis=0))
    order = np.argsort(z, kind="stable")

    def odds(rows: np.ndarray) -> tuple[WordOdds, ...]:
        pairs = ((words[i], float(z[i])) for i in rows)
        return tuple(WordOdds(_cut(w), z, (counts[0][w], counts[1][w])) for w, z in pairs)

    shared = len(counts[0].keys() & counts[1].keys())
    return Vocabulary(
        types=(len(counts[0]), len(counts[1])),
        shared=shared,
        jaccard=shared / max(1, len(words)),
        marks=(odds(order[:top]), odds(order[::-1][:top])),
    )


def _cut(word: str) -> str:
    """A word as it is shown: an unbroken run of thousands of letters is cut."""
    return word if len(word) <= _WORD_CHARACTERS else f"{word[:_WORD_CHARACTERS]}…"


def _near_repeats(corpus: Corpus, shown: int = 5) -> NearRepeats:
    ones, zeros = ([corpus.texts[i] for i in np.flatnonzero(corpus.labels == x)] for x in (1, 0))
    across = near_duplicates(ones, zeros)
    first, second = hash_halves(corpus.texts, "bezoar-halves-1")
    halves = near_duplicates([corpus.texts[i] for i in first], [corpus.texts[i] for i in second])
    nearest = np.argsort(-np.array(across.similarity), kind="stable")[:shown]
    pairs = ((ones[across.a[i]], zeros[across.b[i]]) for i in nearest)
    return NearRepeats(
        across_labels=len(across),
        across_halves=len(halves),
        examples=tuple((a[:_EXAMPLE_CHARACTERS], b[:_EXAMPLE_CHARACTERS]) for a, b in pairs),
    )


def _examples(corpus: Corpus, each: int = 3) -> tuple[Example, ...]:
    """A few texts of every source and label, drawn by hash."""
    source = corpus.source or ("",) * len(corpus)
    rows: dict[tuple[str, int], list[str]] = {}
    for name, label, text in zip(source, corpus.labels.tolist(), corpus.texts, strict=True):
        rows.setdefault((name, label), []).append(text)
    return tuple(
        Example(name, label, text[:_EXAMPLE_CHARACTERS])
        for (name, label), texts in sorted(rows.items())
        for text in sorted(texts, key=lambda text: unit_hash(text, "bezoar-examples-1"))[:each]
    )
