"""Layer experts: does a whole layer part the two classes, and does it by more than its neurons do?

The published test clusters the pooled states of a layer in two without labels, takes the clusters
for verdicts, and sets their AUROC beside the mean AUROC of single neurons. The two differ in more
than their size: clusters are verdicts and neurons scores, and clusters may swap their names while
a neuron that falls silent on the behaviour counts against the mean. Here both are also treated
alike (cut in two without labels, the side of the behaviour said by the training texts, measured on
the test texts), and linear readers of the same rows stand beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bezoar.activations import ActivationStore, Pooling
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, DataError
from bezoar.locate.clusters import Linkage, TwoClusters, hierarchical, k_means
from bezoar.locate.layer_contests import FoundLayer, contests, ranks
from bezoar.locate.layer_measure import FEWEST, Measure, interval
from bezoar.locate.layer_readers import (
    Rows,
    Verdicts,
    linear_readers,
    neuron_readers,
)
from bezoar.locate.layer_results import (
    LayerExperts,
    LayerScore,
    ReaderScore,
)
from bezoar.locate.sweep_inputs import Pair, Task, harvested, stored
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.stats import Placements, null_p_value

SPELT, UNKNOWN = 1.5, 0.1
"""Tokens a character, and share of unknown tokens, above which a model does not know a language."""

_CLUSTERS = ("k-means", "hierarchical")


def layer_experts(
    lm: LanguageModel,
    train: Corpus,
    test: Corpus,
    *,
    point: str = "resid_post",
    neurons: str | None = None,
    pooling: Pooling = "mean",
    linkage: Linkage = "ward",
    stores: tuple[ActivationStore, ActivationStore] | None = None,
    sample: int = 1_000,
    null_draws: int = 999,
    resamples: int = 1_000,
    folds: int = 3,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LayerExperts:
    """Part the texts by every layer in turn, and measure what that is worth.

    Args:
        lm: any model whose blocks are recognised, decoder or encoder.
        train: labelled texts that clusters and readers are fitted to.
        test: labelled texts that everything is reported on.
        point: of every layer, whose rows are clustered.
        neurons: point of every layer whose coordinates are its neurons; if None ``mlp_post``, or
            ``point`` where the model has no such (a mixture of experts).
        pooling: of positions into one row a text (the publication does not say which); with
            ``stores`` theirs counts.
        linkage: of the hierarchy: ward, average or complete.
        stores: activations of ``train`` and ``test`` that were harvested before, at both points;
            else one pass over all texts reads them here, in memory.
        sample: texts at most in the hierarchy and in silhouettes, whose cost is quadratic.
        null_draws: shuffled labellings of the test texts, for the null of the matching.
        resamples: of the bootstrap by text.
        folds: of the linear readers' cross-validation.
        budget_tokens, max_tokens: of the harvest.
        seed: of clusters, folds, draws and bootstrap.
        progress: where to show progress.

    Raises:
        ConfigError: if ``pooling`` is "none", or ``linkage`` is unknown.
        DataError: if a text is in both corpora, or one has too few texts of a class.
        SiteError: if the model lacks a point, or only some of its layers have it.
        StoreError: if ``stores`` are of another model or lack a site.
    """
    _check(train, test, pooling)
    task = Task.of(train, test, folds, 0, resamples, seed)
    if neurons is None:
        neurons = "mlp_post" if "mlp_post" in lm.anatomy.points() else point
    sites, units = lm.sites([point]), lm.sites([neurons])
    every = sorted({*sites, *units})
    limits = (budget_tokens, max_tokens, progress)
    pair = stored(lm, stores, task) if stores else harvested(lm, task, every, pooling, *limits)
    bench = _Bench(task, pair, Measure.of(task, pair, null_draws, sample), linkage)
    layers = list(zip(sites, units, strict=True))
    steps = track(progress, layers, "Clustering", unit="layers")
    found = [_at_layer(bench, *places, len(layers)) for places in steps]
    tokens, unknown = _spelling(lm, test.texts)
    nulls = np.array([one.null for one in found]).max(axis=0)
    best = max(one.score.kmeans.matched.value for one in found)
    return LayerExperts(
        model=lm.name,
        corpus=test.name,
        kind="decoder" if lm.anatomy.causal else "encoder",
        layers=tuple(one.score for one in found),
        ranks=ranks(found),
        contests=contests(found, _by_length(bench)),
        best_null_p=null_p_value(best, nulls),
        train_n=len(train),
        test_n=len(test),
        test_positives=int(task.test_labels.sum()),
        equal_n=len(bench.measure.equal),
        pooling=pair.pooling,
        neurons=neurons,
        linkage=linkage,
        tokens_per_character=tokens,
        unknown_share=unknown,
        caveat=_caveat(tokens, unknown),
    )


def _check(train: Corpus, test: Corpus, pooling: str) -> None:
    if pooling == "none":
        raise ConfigError(
            "Clusters need one row a text, and pooling is 'none'.", hint="Use mean, max or last."
        )
    for corpus in (train, test):
        corpus.need_both_labels()
        ones = int(corpus.labels.sum())
        if min(ones, len(corpus) - ones) < FEWEST:
            raise DataError(
                f"{corpus.name!r} has {len(corpus) - ones} texts of label 0 and {ones} of label 1.",
                hint=f"Give at least {FEWEST} of each, to train on and again to test.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What every layer shares."""

    task: Task
    pair: Pair
    measure: Measure
    linkage: Linkage


def _at_layer(bench: _Bench, site: Site, units: Site, n_layers: int) -> FoundLayer:
    task, measure = bench.task, bench.measure
    rows = bench.pair.train(site), bench.pair.test(site)
    neurons = bench.pair.train(units), bench.pair.test(units)
    trees = hierarchical(rows[0], bench.linkage, measure.sample, task.seed)
    verdicts = {
        "k-means": _named(task, k_means(rows[0], task.seed), rows),
        "hierarchical": _named(task, trees, rows),
    }
    alone, mean = neuron_readers(task, measure.groups, neurons)
    verdicts |= alone | linear_readers(task, rows)
    criteria = {name: measure.auroc(one.decisions) for name, one in verdicts.items()}
    spread = {name: measure.silhouette(rows[1], verdicts[name].hard) for name in _CLUSTERS}
    kmeans, tree = (
        measure.cluster(verdicts[name].hard, criteria[name], spread[name]) for name in _CLUSTERS
    )
    readers = {
        name: ReaderScore(
            auroc=interval(criteria[name]),
            balanced_accuracy=interval(measure.auroc(verdicts[name].hard.astype(np.float64))),
            equal_length=measure.equal_length(verdicts[name].hard),
            unit=verdicts[name].unit,
        )
        for name in ("best neuron", "probe", "mean difference")
    }
    layer = site.layer or 0
    score = LayerScore(
        layer=layer,
        site=str(site),
        depth=(layer + 1) / n_layers,
        kmeans=kmeans[0],
        hierarchical=tree[0],
        best_neuron=readers["best neuron"],
        mean_neuron=mean.told(),
        probe=readers["probe"],
        mean_difference=readers["mean difference"],
    )
    if (silhouette := spread["k-means"]) is not None:
        criteria["silhouette"] = silhouette
    return FoundLayer(score, criteria, verdicts, _placed(measure, verdicts), mean, kmeans[1])


def _named(task: Task, clusters: TwoClusters, rows: Rows) -> Verdicts:
    """The clusters as verdicts.

    The behaviour's is the cluster that holds more of its training texts, as a share of them, than
    of the others.
    """
    train, test = (clusters.assign(part) for part in rows)
    y = task.train_labels
    agree = (train[y == 1].mean() - train[y == 0].mean() + 1) / 2
    hard = test == 1 if agree >= 0.5 else test == 0
    return Verdicts(hard.astype(np.float64), hard, float(max(agree, 1 - agree)))


def _by_length(bench: _Bench) -> Placements:
    """What clusters of nothing but the logarithm of each text's tokens say."""
    pair = bench.pair
    lengths = (store.lengths[part] for store, part in zip(pair.stores, pair.slices, strict=True))
    train, test = (np.log(counts)[:, None] for counts in lengths)
    verdicts = _named(bench.task, k_means(train, bench.task.seed), (train, test))
    return _placed(bench.measure, {"length": verdicts})["length"]


def _placed(measure: Measure, verdicts: dict[str, Verdicts]) -> dict[str, Placements]:
    return {
        name: Placements.of(one.hard.astype(np.float64)[:, None], measure.labels, measure.groups)
        for name, one in verdicts.items()
    }


def _spelling(lm: LanguageModel, texts: Sequence[str]) -> tuple[float, float]:
    """Tokens a character, and the share of unknown tokens."""
    ids = [i for text in lm.encode(list(texts)) for i in text]
    special = lm.tokenizer.unk_token_id
    known = special is None or special in (lm.tokenizer.bos_token_id, lm.tokenizer.eos_token_id)
    unknown = 0.0 if known else ids.count(special) / len(ids)
    return len(ids) / max(sum(map(len, texts)), 1), unknown


def _caveat(tokens: float, unknown: float) -> str:
    if tokens <= SPELT and unknown <= UNKNOWN:
        return ""
    why = (
        f"{unknown:.0%} of the tokens are unknown"
        if unknown > UNKNOWN
        else (f"the tokenizer spells a character in {tokens:.1f} tokens")
    )
    return f"a test of the pipeline, no claim: {why}"
