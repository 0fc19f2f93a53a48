"""One reader in a contest: choose its penalty in the folds, fit it, measure it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import ArrayLike

from bezoar.errors import DataError
from bezoar.evaluate.contest_metrics import Verdict, calibrated_error, judged
from bezoar.evaluate.contest_readers import Reader
from bezoar.evaluate.contest_results import ContestRow
from bezoar.evaluate.contest_ways import FewFeatures, Way
from bezoar.locate.logistic import platt
from bezoar.locate.probe_base import Folds, balanced_threshold
from bezoar.stats import auroc, grouped_folds, matched_rows
from bezoar.stats.classification import binary_labels


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Which texts everybody trains on and is measured on.

    Attributes:
        labels: of all texts.
        sources: of all texts, or None.
        groups: of all texts, or None.
        train, report: numbers of texts, the former balanced if that was asked for.
        folds: places in ``train``.
        shift: log-odds that balancing took away, which intercepts get back.
        seed: of draws and resamples.
    """

    labels: Int[np.ndarray, " texts"]
    sources: np.ndarray | None
    groups: np.ndarray | None
    train: Int[np.ndarray, " m"]
    report: Int[np.ndarray, " n"]
    folds: Folds
    shift: float
    seed: int

    @classmethod
    def of(
        cls,
        labels: ArrayLike,
        sources: Sequence[str] | None,
        train: Int[np.ndarray, " m"],
        report: Int[np.ndarray, " n"],
        groups: Sequence[object] | None,
        balance: str,
        folds: int,
        seed: int,
    ) -> Task:
        """Balance, and part the training texts into folds: equal in labels and in sources."""
        y = binary_labels(labels).astype(np.int64)
        if np.intersect1d(train, report).size:
            raise DataError("A text is in both parts.", hint="Report on texts that nobody saw.")
        for name, part in (("training", train), ("report", report)):
            if len(np.unique(y[part])) < 2 or np.bincount(y[part]).min() < 2:
                counts = np.bincount(y[part], minlength=2).tolist()
                raise DataError(
                    f"Of the {name} texts {counts[1]} have label 1 and {counts[0]} label 0.",
                    hint="Both parts need at least two of each; give more texts.",
                )
        before = y[train].mean()
        if balance == "subsample":
            train = train[matched_rows(np.zeros(len(train)), y[train], seed)]
        shift = _logit(before) - _logit(y[train].mean())
        origin = None if sources is None else np.array(sources)
        group = None if groups is None else np.array(groups)
        parts = _folds(y[train], origin, group, train, folds, seed)
        return cls(y, origin, group, train, report, parts, float(shift), seed)

    @property
    def train_labels(self) -> Int[np.ndarray, " m"]:
        return self.labels[self.train]

    @property
    def report_labels(self) -> Int[np.ndarray, " n"]:
        return self.labels[self.report]

    @property
    def report_groups(self) -> np.ndarray | None:
        return None if self.groups is None else self.groups[self.report]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One row of the contest, and its decisions on the report texts."""

    row: ContestRow
    verdict: Verdict


def fitted(
    task: Task,
    reader: Reader,
    sparse: Sequence[int],
    penalties: int,
    resamples: int,
    kinds: Sequence[str] | None = None,
) -> Iterator[Fit]:
    """Every way to read one reader's features, or those of these kinds.

    Raises:
        DataError: if the reader has another number of texts, or a feature is not finite.
    """
    table = reader.table(len(task.labels), task.train)
    for way in reader.ways(table, sparse):
        if kinds is not None and way.kind not in kinds:
            continue
        yield _measured(task, reader, way, table.grid(penalties), resamples)


def choose(
    way: Way,
    texts: Int[np.ndarray, " m"],
    labels: np.ndarray,
    penalties: Float64[np.ndarray, " p"],
    folds: Folds,
) -> tuple[Int[np.ndarray, " k"], Float64[np.ndarray, "m k tried"]]:
    """The penalty of the least held-out log-loss for each labelling, and held-out decisions.

    Args:
        way: how to read.
        texts: their numbers.
        labels: [m k] 0/1.
        penalties: the path.
        folds: places in ``texts``; what no fold holds out counts for nothing (and is 0).
    """
    tried = penalties if way.chooses else penalties[:1]
    k = labels.shape[1]
    held_out = np.zeros((len(texts), k, len(tried)))
    loss = np.zeros((k, len(tried)))
    for fit, test in folds:
        z = way.decide(texts[fit], labels[fit], tried, texts[test])
        held_out[test] = z
        y = labels[test][:, :, None]
        if not way.chooses:
            continue
        loss += (np.logaddexp(0, z) - y * z).sum(axis=0)
    return loss.argmin(axis=1), held_out


def _measured(
    task: Task,
    reader: Reader,
    way: Way,
    penalties: Float64[np.ndarray, " p"],
    resamples: int,
) -> Fit:
    y = task.train_labels
    best, every = choose(way, task.train, y[:, None], penalties, task.folds)
    held_out = every[:, 0, best[0]]
    penalty = penalties[best]
    w, _ = way.weights(task.train, y[:, None], penalty, final=True)
    z = way.decide(task.train, y[:, None], penalty, task.report, final=True)[:, 0, 0]
    slope, shift = platt(held_out, y)
    shift += task.shift
    threshold = balanced_threshold(slope * held_out + shift, y)
    decisions = slope * z + shift
    verdict = judged(
        decisions,
        task.report_labels,
        threshold,
        task.report_groups,
        resamples=resamples,
        seed=task.seed,
    )
    row = ContestRow(
        reader=reader.name,
        family=reader.family,
        kind=way.kind,
        site=reader.site,
        pooling=reader.pooling,
        n_features=int((np.abs(w[:, 0, 0]) > 0).sum()),
        penalty=float(penalty[0]) if way.chooses else None,
        cv_auroc=auroc(held_out, y),
        auroc=verdict.interval("auroc"),
        average_precision=verdict.interval("average_precision"),
        f1=verdict.interval("f1"),
        balanced_accuracy=verdict.interval("balanced_accuracy"),
        tpr_at_1=verdict.interval("tpr_at_1"),
        calibration_error=verdict.interval("calibration_error"),
        calibrated=calibrated_error(decisions, task.seed),
        features=tuple(way.features(task.train, y)) if isinstance(way, FewFeatures) else (),
    )
    return Fit(row, verdict)


def _folds(
    labels: Int[np.ndarray, " m"],
    sources: np.ndarray | None,
    groups: np.ndarray | None,
    train: Int[np.ndarray, " m"],
    folds: int,
    seed: int,
) -> Folds:
    """Grouped folds, stratified by label and source."""
    names = np.arange(len(train)) if groups is None else groups[train]
    strata = labels if sources is None else np.unique(
        np.char.add(labels.astype(str), sources[train].astype(str)), return_inverse=True
    )[1]  # fmt: skip
    folds = min(folds, int(np.bincount(labels).min()), len(set(names.tolist())))
    fold = grouped_folds(names.tolist(), folds, strata, seed=seed)
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]
    if any(len(np.unique(labels[fit])) < 2 for fit, _ in parts):
        raise DataError(
            f"{len(train)} training texts cannot be parted into {folds} folds of both labels.",
            hint="Give more texts, or fewer folds.",
        )
    return parts


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))
