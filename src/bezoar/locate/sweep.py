"""The probe sweep: can the behaviour be read, at which layer and site, and by what else?

One harvest pass reads every site; a logistic probe is fitted per site, its penalty chosen by
grouped cross-validation on the training texts, and measured on test texts that nothing was fitted
to; so are the closed-form kinds, which have no penalty to choose. Beside them stand the rivals: the
length of a text, its words, the embedding layer, the same probes on shuffled labels, and if asked
for the same architecture untrained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bezoar.activations import ActivationStore, Pooling
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, did_you_mean
from bezoar.locate.probe import KINDS, LinearProbe
from bezoar.locate.probe_base import Probe, balanced_threshold, make_folds
from bezoar.locate.rivals import Scores, length_rival, untrained_twin, words_rival
from bezoar.locate.sweep_inputs import Pair, Task, harvested, stored
from bezoar.locate.sweep_results import (
    KindScore,
    ProbeScore,
    ProbeSweep,
    RivalScore,
    SourceScore,
)
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.stats import (
    auroc,
    auroc_interval,
    majority_rate,
    null_p_value,
    paired_auroc_difference,
)

POINTS = ("resid_mid", "resid_post", "attn_out", "mlp_out")

OTHER_KINDS = tuple(kind for kind in KINDS if kind != LinearProbe.kind)
"""Kinds of probe that are swept beside the logistic one: "mean difference" and "LDA"."""


def default_sites(lm: LanguageModel) -> list[Site]:
    """The embedding, and of every layer those of ``POINTS`` that the model has."""
    return lm.sites(["embed", *(point for point in POINTS if point in lm.anatomy.points())])


def probe_sweep(
    lm: LanguageModel,
    train: Corpus,
    test: Corpus,
    sites: Iterable[Site | str] | None = None,
    *,
    pooling: Pooling = "mean",
    stores: tuple[ActivationStore, ActivationStore] | None = None,
    kinds: Sequence[str] = OTHER_KINDS,
    folds: int = 3,
    shuffles: int = 20,
    resamples: int = 1000,
    untrained: bool = False,
    probes: Path | None = None,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProbeSweep:
    """Fit and measure probes at every site.

    Args:
        lm: the model.
        train: labelled texts that probes are fitted to, and sites compared on.
        test: labelled texts that results are reported on.
        sites: `default_sites` if None.
        pooling: of positions into one row a text; with ``stores`` theirs counts.
        stores: activations of ``train`` and ``test`` that were harvested before; else one pass
            over both reads them here, in memory.
        kinds: of `KINDS`, fitted at every site beside the logistic probe.
        folds, shuffles, resamples: of the cross-validation, of the null (the same shuffled
            labellings at every site), and of the bootstrap intervals.
        untrained: also read the best site of the untrained twin, in another pass up to it: a
            rival "untrained twin".
        probes: folder to save each fitted logistic probe in, by the name of its site.
        budget_tokens, max_tokens: of the harvest.
        seed: of folds, shuffles, bootstrap and the twin.
        progress: where to show progress.

    Raises:
        ConfigError: if ``pooling`` is "none", no site is asked for, or a kind is unknown.
        DataError: if a text is in both corpora, one has a single class, or ``stores`` other rows.
        StoreError: if ``stores`` are of another model or lack a site.
    """
    places = _places(lm, sites, pooling, kinds)
    task = Task.of(train, test, folds, shuffles, resamples, seed)
    limits = (budget_tokens, max_tokens, progress)
    pair = stored(lm, stores, task) if stores else harvested(lm, task, places, pooling, *limits)
    steps = track(progress, places, "Probing", unit="sites")
    found = [_at_site(task, pair, site, kinds, probes) for site in steps]
    sweep = _summed_up(lm, task, pair, found)
    if not untrained:
        return sweep
    best = [lm.site(sweep.best.site)]
    twin = harvested(untrained_twin(lm, seed), task, best, pair.pooling, *limits)
    return replace(sweep, rivals=(*sweep.rivals, _twin_rival(task, twin, *best)))


def _places(
    lm: LanguageModel,
    sites: Iterable[Site | str] | None,
    pooling: Pooling,
    kinds: Sequence[str],
) -> list[Site]:
    """The sites to sweep, in the order in which the model computes them."""
    places = default_sites(lm) if sites is None else sorted({lm.site(site) for site in sites})
    if not places or pooling == "none":
        raise ConfigError(
            f"{len(places)} sites with pooling {pooling!r}.",
            hint="A sweep needs at least one site and one row a text: mean, max or last.",
        )
    for kind in kinds:
        if kind not in OTHER_KINDS:
            raise ConfigError(
                f"There is no other kind of probe {kind!r}.", hint=did_you_mean(kind, OTHER_KINDS)
            )
    return places


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What was found at one site."""

    score: ProbeScore
    decisions: np.ndarray
    kinds: tuple[KindScore, ...]


def _at_site(
    task: Task,
    pair: Pair,
    site: Site,
    kinds: Sequence[str],
    probes: Path | None,
) -> _Found:
    """Fit each kind of probe to the training rows of a site, and measure it on the test rows."""
    rows, test = pair.train(site), pair.test(site)
    probe = LinearProbe(
        folds=task.folds, random_state=task.seed, site=str(site), pooling=pair.pooling
    )
    probe.fit(rows, task.train_labels, task.groups)
    if probes is not None:
        probe.save(probes / str(site))
    decisions = probe.decision_function(test)
    score = _score(task, pair, site, probe, decisions)
    others = tuple(_other(task, KINDS[kind], site, rows, test) for kind in kinds)
    return _Found(score, decisions, others)


def _other(
    task: Task, kind: type[Probe], site: Site, rows: np.ndarray, test: np.ndarray
) -> KindScore:
    probe = kind(folds=task.folds, random_state=task.seed)  # type: ignore[call-arg]
    probe.fit(rows, task.train_labels, task.groups)
    decisions = probe.decision_function(test)
    metrics = task.measured(decisions, probe.balanced_threshold_)
    null = _null(task, probe, rows, test)
    return KindScore(
        kind=kind.kind,
        site=str(site),
        **metrics,
        cv_auroc=auroc(probe.held_out_, task.train_labels),
        null=tuple(null),
        null_p=null_p_value(metrics["auroc"].value, null) if null else None,
    )


def _summed_up(
    lm: LanguageModel,
    task: Task,
    pair: Pair,
    found: Sequence[_Found],
) -> ProbeSweep:
    """The best site beside the rivals, its null over all sites, and its results by source."""
    rivals, words = _rivals(task)
    scores = [one.score for one in found]
    best, decisions = max(
        ((one.score, one.decisions) for one in found), key=lambda pair: pair[0].cv_auroc
    )
    p = None
    if len(task.shuffled):
        largest = np.array([score.null for score in scores]).max(axis=0)
        p = null_p_value(best.auroc.value, largest)
    return ProbeSweep(
        scores=tuple(scores),
        rivals=rivals,
        over_words=paired_auroc_difference(decisions, words, task.test_labels),
        best_null_p=p,
        sources=_by_source(task, pair, best, decisions),
        majority_rate=majority_rate(task.test_labels),
        train_n=len(task.train_labels),
        test_n=len(task.test_labels),
        test_positives=int(task.test_labels.sum()),
        pooling=pair.pooling,
        model=lm.name,
        corpus=task.train_corpus.name,
        kinds=tuple(kind for one in found for kind in one.kinds),
    )


def _score(
    task: Task,
    pair: Pair,
    site: Site,
    probe: LinearProbe,
    decisions: np.ndarray,
) -> ProbeScore:
    metrics = task.measured(decisions, probe.balanced_threshold_)
    null = _null(task, probe, pair.train(site), pair.test(site))
    return ProbeScore(
        site=str(site),
        **metrics,
        accuracy=float(((decisions > 0) == task.test_labels).mean()),
        cv_auroc=auroc(probe.held_out_, task.train_labels),
        l2=probe.l2_,
        null=tuple(null),
        null_p=null_p_value(metrics["auroc"].value, null) if null else None,
    )


def _null(task: Task, probe: Probe, rows: np.ndarray, test: np.ndarray) -> list[float]:
    """Test AUROC of the same fit, at the same penalty, to each shuffled labelling."""
    if not len(task.shuffled):
        return []
    weights = probe.relabelled(rows, task.train_labels, task.shuffled)
    return [auroc(column, task.test_labels) for column in weights @ test.astype(np.float64).T]


def _rivals(task: Task) -> tuple[tuple[RivalScore, ...], np.ndarray]:
    """Length and words on the same texts; and the test decisions of the latter."""
    train, test, y = task.train_corpus.texts, task.test_corpus.texts, task.train_labels
    parts = make_folds(y, task.groups, task.folds, task.seed)
    found: dict[str, Scores] = {
        "length": length_rival(train, y, test, task.groups, task.folds),
        "bag of words": words_rival(train, y, test, parts),
    }
    rivals = tuple(
        RivalScore(
            name=name,
            **task.measured(decisions, balanced_threshold(held_out, y)),
            cv_auroc=auroc(held_out, y),
        )
        for name, (held_out, decisions) in found.items()
    )
    return rivals, found["bag of words"][1]


def _twin_rival(task: Task, twin: Pair, site: Site) -> RivalScore:
    """The same kind of probe at the same site of a model that never learnt."""
    probe = LinearProbe(folds=task.folds, random_state=task.seed)
    probe.fit(twin.train(site), task.train_labels, task.groups)
    decisions = probe.decision_function(twin.test(site))
    return RivalScore(
        name="untrained twin",
        **task.measured(decisions, probe.balanced_threshold_),
        cv_auroc=auroc(probe.held_out_, task.train_labels),
    )


def _by_source(
    task: Task, pair: Pair, best: ProbeScore, decisions: np.ndarray
) -> tuple[SourceScore, ...]:
    """The best site's probe on each source, and one that never saw that source."""
    ours, theirs = task.train_corpus.source, task.test_corpus.source
    if theirs is None or len(set(theirs)) < 2:
        return ()
    site = Site.parse(best.site)
    train_rows, test_rows = pair.train(site), pair.test(site)
    found = []
    for source in sorted(set(theirs)):
        here = np.array([s == source for s in theirs])
        y = task.test_labels[here]
        measurable = min(y.sum(), (1 - y).sum()) >= 2
        other = np.array([s != source for s in ours or ()], dtype=bool)
        left_out = None
        if measurable and other.any() and len(np.unique(task.train_labels[other])) == 2:
            probe = LinearProbe(l2=best.l2, folds=1)
            probe.fit(train_rows[other], task.train_labels[other])
            left_out = auroc_interval(probe.decision_function(test_rows[here]), y)
        seen = auroc_interval(decisions[here], y) if measurable else None
        found.append(SourceScore(source, int(here.sum()), int(y.sum()), seen, left_out))
    return tuple(found)
