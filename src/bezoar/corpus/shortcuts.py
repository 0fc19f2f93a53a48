"""What separates the classes without any understanding: length, source, single words.

A probe that finds no more than these has found nothing. A corpus whose classes differ by one of
them teaches a probe that instead of the behaviour.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from bezoar.corpus.corpus import Corpus
from bezoar.runs.results import Result
from bezoar.stats.classification import auroc_interval
from bezoar.stats.intervals import Interval
from bezoar.stats.splits import grouped_folds, joint_groups, text_key

WARN_FROM = {"length": 0.6, "source": 0.6, "words": 0.95}
"""AUROC from which on a shortcut is worth a warning."""


@dataclass(frozen=True, slots=True)
class Shortcut(Result):
    """How well one cheap cue tells the classes apart.

    Attributes:
        cue: length, source or words.
        auroc: cross-validated over groups where something is fitted; for length of the longer or
            the shorter, whichever separates.
        warning: what to think of it, "" if nothing.
    """

    cue: str
    auroc: Interval
    warning: str


def find_shortcuts(corpus: Corpus, seed: int = 0) -> tuple[Shortcut, ...]:
    """Measure every cue on a corpus that holds both labels."""
    groups = joint_groups([text_key(t) for t in corpus.texts], _named(corpus.group, len(corpus)))
    fold = grouped_folds(groups.tolist(), _folds(groups), corpus.labels, seed)
    scores = {"length": length_scores(corpus), "words": word_scores(corpus, fold)}
    if corpus.source is not None and len(set(corpus.source)) > 1:
        scores["source"] = source_scores(corpus, fold)
    labels = corpus.labels
    return tuple(
        _shortcut(cue, auroc_interval(scores[cue], labels, groups))
        for cue in WARN_FROM
        if cue in scores
    )


def length_scores(corpus: Corpus) -> Float[np.ndarray, " text"]:
    """Characters of each text."""
    return np.array([len(text) for text in corpus.texts], dtype=np.float64)


def word_scores(corpus: Corpus, fold: Int[np.ndarray, " text"]) -> Float[np.ndarray, " text"]:
    """Held-out logits of TF-IDF words with logistic regression, fold by fold."""
    # Here: it takes a second to import, and who only reads texts does without.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    scores = np.zeros(len(corpus))
    for number in np.unique(fold):
        train, test = fold != number, fold == number
        words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\w+")
        x = words.fit_transform(_taken(corpus.texts, train))
        model = LogisticRegression(C=10.0, solver="liblinear", class_weight="balanced")
        model.fit(x, corpus.labels[train])
        scores[test] = model.decision_function(words.transform(_taken(corpus.texts, test)))
    return scores


def source_scores(corpus: Corpus, fold: Int[np.ndarray, " text"]) -> Float[np.ndarray, " text"]:
    """Share of label 1 in a text's source, taken from the other folds."""
    source = np.unique(np.array(corpus.source), return_inverse=True)[1]
    scores = np.zeros(len(corpus))
    for number in np.unique(fold):
        train = fold != number
        n = np.bincount(source[train], minlength=source.max() + 1)
        ones = np.bincount(source[train], weights=corpus.labels[train], minlength=len(n))
        scores[~train] = ((ones + 1) / (n + 2))[source[~train]]
    return scores


def _shortcut(cue: str, found: Interval) -> Shortcut:
    if cue == "length":
        found = either_way(found)
    warning = ""
    if found.low >= WARN_FROM[cue]:
        warning = f"{_MEANING[cue]} tells the classes apart with AUROC {found}: {_ADVICE[cue]}"
    return Shortcut(cue, found, warning)


def either_way(found: Interval) -> Interval:
    """The AUROC of a score or of its opposite, whichever separates."""
    if found.value >= 0.5:
        return found
    return Interval(1 - found.value, 1 - found.high, 1 - found.low)


_MEANING = {"length": "Length alone", "source": "The source alone", "words": "A bag of words"}
_ADVICE = {
    "length": "match the lengths of the classes, or read every result beside it.",
    "source": "read results by source; a probe may have learnt where a text is from.",
    "words": "a probe must beat that to show more than a vocabulary.",
}


def _named(groups: Sequence[str] | None, n: int) -> list[Hashable | None]:
    return [None] * n if groups is None else [name or None for name in groups]


def _folds(groups: np.ndarray) -> int:
    return min(5, len(np.unique(groups)))


def _taken(texts: Sequence[str], keep: np.ndarray) -> list[str]:
    return [texts[row] for row in np.flatnonzero(keep).tolist()]
