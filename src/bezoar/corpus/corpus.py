"""The nouns of this room: labelled texts, prompts and neutral text, as columns of equal length."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Shaped

from bezoar.corpus.rows import Origin, Rows
from bezoar.errors import DataError


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Corpus(Rows):
    """Texts with binary labels: the only definition of the behaviour that is looked for.

    Attributes:
        texts: the texts, never empty of meaning after ``clean``.
        labels: 1 where the behaviour is present, else 0; kept as int8.
        source: where each text came from ("" if unknown); results are also given by source.
        category: a finer kind of behaviour ("" if none).
        split: train, select or report, if the corpus brings its own split.
        group: texts of one group (a thread, an author) are never split.
        licence: of each text, where a set joins several.
        name: short name for tables.
        origin: where it was read from.
    """

    texts: tuple[str, ...]
    labels: Shaped[np.ndarray, " text"]
    source: tuple[str, ...] | None = None
    category: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    licence: tuple[str, ...] | None = None
    name: str = "corpus"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        wrong = sorted({repr(label) for label in labels.ravel().tolist() if label not in (0, 1)})
        if labels.ndim != 1 or wrong:
            seen = f"holds {', '.join(wrong[:8])}" if wrong else f"has shape {labels.shape}"
            raise DataError(
                f"labels {seen}: one 0 or 1 per text is needed.",
                hint="Say which texts show the behaviour: 1 for those, else 0.",
            )
        object.__setattr__(self, "labels", labels.astype(np.int8))
        self._check()

    @property
    def positive_share(self) -> float:
        """Share of texts with label 1."""
        return float(self.labels.mean()) if len(self) else 0.0

    def need_both_labels(self) -> None:
        """Refuse a corpus of one class.

        Raises:
            DataError: saying which label all texts have, and what was left out before.
        """
        ones = int(self.labels.sum())
        if 0 < ones < len(self):
            return
        left = ", ".join(f"{n} {reason}" for reason, n in self.origin.left_out.items())
        raise DataError(
            f"All {len(self)} texts of {self.name!r} have label {int(ones > 0)}, and both labels "
            f"are needed{f' (left out before: {left})' if left else ''}.",
            hint="Check the label column and its positive value (--label, "
            "--set data.positive=…), or add texts of the other kind.",
        )

    def keep_both_labels(self, after: Corpus, what: str, hint: str) -> None:
        """Refuse a step after which a label is gone that was there before.

        Raises:
            DataError: naming the step.
        """
        for label in (0, 1):
            n = int((self.labels == label).sum())
            if n and not (after.labels == label).any():
                there = "there was 1" if n == 1 else f"there were {n}"
                raise DataError(f"{what} leaves no text of label {label} ({there}).", hint=hint)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unlabelled(Rows):
    """Texts of which nothing says whether they show the behaviour: they can be looked at.

    Attributes:
        texts: the texts.
        source, category: as in a `Corpus`.
        name: short name for tables.
        origin: where it was read from.
    """

    texts: tuple[str, ...]
    source: tuple[str, ...] | None = None
    category: tuple[str, ...] | None = None
    name: str = "texts"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        self._check()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prompts(Rows):
    """Beginnings that a model is asked to continue.

    Attributes:
        texts: the prompts.
        toxicity: score of each prompt in [0, 1], if known; NaN where unknown.
        source: where each prompt came from.
        split: select or report, if the set brings its own split.
        name: short name for tables.
        origin: where it was read from.
    """

    texts: tuple[str, ...]
    toxicity: Float[np.ndarray, " text"] | None = None
    source: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    name: str = "prompts"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        if self.toxicity is not None:
            scores = np.asarray(self.toxicity, dtype=np.float64)
            if ((scores < 0) | (scores > 1)).any():
                raise DataError(
                    f"Prompt toxicity runs from {np.nanmin(scores):g} to {np.nanmax(scores):g}: "
                    "scores lie in [0, 1].",
                    hint="Scale the scores, or rename the column if it is something else.",
                )
            object.__setattr__(self, "toxicity", scores)
        self._check()


_UNK = re.compile(r"(?<!\S)<unk>(?!\S)")
_UNK_SHARE = 1e-3  # of the words: WikiText has twenty times as many, prose about it has fewer


def looks_tokenised(texts: Iterable[str]) -> bool:
    """Whether ``<unk>`` stands for rare words, as in WikiText's tokenised form (its raw form, which
    also has ``@-@`` and blanks before punctuation, keeps them)."""
    words = unknown = 0
    for text in texts:
        words += len(text.split())
        unknown += len(_UNK.findall(text))
    return unknown > 0 and unknown >= _UNK_SHARE * words


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NeutralText(Rows):
    """Ordinary prose, on which an edit should change nothing; for perplexity and divergence.

    Attributes:
        texts: lines or documents in their order.
        source: where each came from.
        split: select or report, if the set brings its own split.
        tokenised: WikiText's form with ``<unk>`` for rare words (see `looks_tokenised`), whose
            perplexities compare with no other.
        name: short name for tables.
        origin: where it was read from.
    """

    texts: tuple[str, ...]
    source: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    tokenised: bool = False
    name: str = "neutral"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        self._check()
