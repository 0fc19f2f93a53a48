"""Readers: what a classifier sees of a text, and the ways in which it may read that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from bezoar.errors import DataError
from bezoar.evaluate.contest_results import Family
from bezoar.evaluate.contest_tables import Rows, Table, table_of
from bezoar.evaluate.contest_ways import EveryFeature, FewFeatures, MeanDifference, Way
from bezoar.locate.rivals import WORD, length_features

ALL, DIFFERENCE = "all", "mean difference"
_MOST_GRAMS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """What a classifier reads.

    Attributes:
        name: for tables; unique in a contest.
        family: "sae", "dense", "untrained" or "baseline".
        load: its features of all texts, [texts d]; called once or twice, and not kept.
        site, pooling: of states and latents.
        weighed: sparse features that carry their weights already.
    """

    name: str
    family: Family
    load: Callable[[], Rows] = field(repr=False)
    site: str = ""
    pooling: str = ""
    weighed: bool = False

    def table(self, texts: int, train: Int[np.ndarray, " m"]) -> Table:
        """Its features, scaled as the training texts are.

        Args:
            texts: how many there are.
            train: numbers of those that are trained on.

        Raises:
            DataError: if it has features of another number of texts, or one is not finite.
        """
        rows = self.load()
        if rows.shape[0] != texts:
            raise DataError(
                f"{self.name!r} has features of {rows.shape[0]} texts, and there are {texts}.",
                hint="Harvest the same texts, in the same order.",
            )
        return table_of(rows, train, weighed=self.weighed)

    def ways(self, table: Table, sparse: Sequence[int]) -> list[Way]:
        """What reads the table: with states and latents also few features, and mean difference."""
        if self.family == "baseline":
            return [EveryFeature(self.name, table)]
        orders: dict[tuple[bytes, bytes], list[int]] = {}
        few = [
            FewFeatures(table, k, orders, max(sparse)) for k in sorted(set(sparse)) if k < table.d
        ]
        means = [MeanDifference(DIFFERENCE, table)] if self.family == "dense" else []
        return [EveryFeature(ALL, table), *few, *means]


def text_readers(
    texts: Sequence[str], train: Int[np.ndarray, " m"], sources: Sequence[str] | None = None
) -> list[Reader]:
    """What needs no model: words, character n-grams, length, source, and nothing at all.

    The vocabulary and its weights are those of the training texts; they know no label.

    Args:
        texts: all of them.
        train: numbers of those that are trained on.
        sources: of each text; without two of them there is no such reader.
    """
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=WORD)
    grams = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), min_df=3, sublinear_tf=True,
        max_features=_MOST_GRAMS,
    )  # fmt: skip
    readers = [
        Reader("words", "baseline", lambda: _weighed(words, texts, train), weighed=True),
        Reader("characters", "baseline", lambda: _weighed(grams, texts, train), weighed=True),
        Reader("length", "baseline", lambda: length_features(texts)),
    ]
    if sources is not None and len(set(sources)) > 1:
        readers.append(Reader("source", "baseline", lambda: _one_hot(sources)))
    return [*readers, Reader("majority", "baseline", lambda: np.zeros((len(texts), 1)))]


def _weighed(
    vectors: TfidfVectorizer, texts: Sequence[str], train: Int[np.ndarray, " m"]
) -> csr_array:
    try:
        vectors.fit([texts[i] for i in train.tolist()])
    except ValueError:  # no word stands in two texts
        return csr_array((len(texts), 1), dtype=np.float32)
    return csr_array(vectors.transform(texts), dtype=np.float32)


def _one_hot(sources: Sequence[str]) -> np.ndarray:
    names, index = np.unique(np.array(sources), return_inverse=True)
    return np.eye(len(names))[index]
