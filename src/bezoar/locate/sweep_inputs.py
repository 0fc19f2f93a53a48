"""What every site of a sweep shares: texts, labels, draws, and the rows of any site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from bezoar.activations import ActivationStore, Pooling, harvest
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, DataError
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress
from bezoar.stats import (
    Interval,
    classification_intervals,
    joint_groups,
    shuffled_labels,
    text_key,
)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Texts, labels and draws that every site shares."""

    train_corpus: Corpus
    test_corpus: Corpus
    train_labels: Int[np.ndarray, " train"]
    test_labels: Int[np.ndarray, " test"]
    groups: list[int]
    shuffled: Int[np.ndarray, "draws train"]
    folds: int
    resamples: int
    seed: int

    @classmethod
    def of(
        cls, train: Corpus, test: Corpus, folds: int, shuffles: int, resamples: int, seed: int
    ) -> Task:
        keys = [text_key(text) for text in train.texts]
        shared = set(keys) & {text_key(text) for text in test.texts}
        if shared:
            raise DataError(
                f"{len(shared)} texts are in both the training and the test corpus.",
                hint="Split one corpus with split_corpus(), which keeps equal texts together.",
            )
        for corpus in (train, test):
            if len(np.unique(corpus.labels)) < 2:
                raise DataError(
                    f"{corpus.name!r} has {len(corpus)} texts of one class.",
                    hint="A probe is fitted to, and measured on, both classes.",
                )
        groups = joint_groups(keys, *([train.group] if train.group is not None else []))
        y = train.labels.astype(np.int64)
        draws = shuffled_labels(y, shuffles, seed)
        arrays = (y, test.labels.astype(np.int64), groups.tolist(), draws)
        return cls(train, test, *arrays, folds, resamples, seed)

    def measured(self, decisions: np.ndarray, threshold: float) -> dict[str, Interval]:
        """The four metrics of test decisions, with intervals."""
        return classification_intervals(
            decisions,
            self.test_labels,
            threshold=threshold,
            resamples=self.resamples,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Activations of the training and of the test texts, at any site."""

    stores: tuple[ActivationStore, ActivationStore]
    slices: tuple[slice, slice]
    pooling: Pooling

    def train(self, site: Site) -> Float[np.ndarray, "train d"]:
        return self.stores[0].rows(site, self.slices[0])

    def test(self, site: Site) -> Float[np.ndarray, "test d"]:
        return self.stores[1].rows(site, self.slices[1])


def harvested(
    lm: LanguageModel,
    task: Task,
    sites: list[Site],
    pooling: Pooling,
    budget_tokens: int,
    max_tokens: int | None,
    progress: Progress | None,
) -> Pair:
    """Read the texts of both corpora in one pass, in memory."""
    train, test = task.train_corpus, task.test_corpus
    store = harvest(
        lm,
        [*train.texts, *test.texts],
        sites,
        pooling=pooling,
        budget_tokens=budget_tokens,
        max_tokens=max_tokens,
        progress=progress,
    )
    n = len(train)
    return Pair((store, store), (slice(n), slice(n, n + len(test))), pooling)


def stored(lm: LanguageModel, stores: tuple[ActivationStore, ActivationStore], task: Task) -> Pair:
    """Take activations that were harvested before, if they are of this model and these texts."""
    for store, corpus in zip(stores, (task.train_corpus, task.test_corpus), strict=True):
        store.require(lm=lm, variant="")
        if len(store) != len(corpus):
            raise DataError(
                f"{store!r} has {len(store)} rows, and {corpus.name!r} has {len(corpus)} texts.",
                hint="Harvest the texts of this corpus, one row a text.",
            )
    pooling = stores[0].manifest.pooling
    if pooling == "none":
        raise ConfigError(
            "The stores hold a row for each token.", hint="Harvest with mean, max or last pooling."
        )
    stores[1].require(pooling=pooling)
    return Pair(stores, (slice(None), slice(None)), pooling)
