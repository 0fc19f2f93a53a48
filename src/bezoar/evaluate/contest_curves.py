"""What becomes of readers with fewer labels, with wrong ones, and on a source they never saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64, Int

from bezoar.evaluate.contest_fit import Fit, Task, choose
from bezoar.evaluate.contest_readers import Reader
from bezoar.evaluate.contest_results import CurvePoint, SourceRow
from bezoar.evaluate.contest_ways import Way
from bezoar.locate.probe_base import make_folds
from bezoar.runs.progress import Progress, track
from bezoar.stats import auroc, auroc_interval

_FOLDS = 3
_ONE_FOLD_FROM = 2_000
"""Labels from which on one fold of three chooses the penalty: there it hardly matters which."""


class Curves:
    """Learning curves, wrong labels and sources left out, of some rows of a contest.

    Draws are the same for all readers. The penalty is chosen anew among the labels that there are,
    right or wrong, and without the source that is left out, by three folds; from 2,000 labels on by
    one of them. Latents and coordinates of k-sparse readers are chosen anew too. What stays is the
    reader itself, which was chosen with all sources, and its features: an autoencoder was trained,
    rows were scaled and a vocabulary was made with texts of all, without their labels.

    Args:
        task: the texts.
        sizes: numbers of labels; those that exceed what there is are left out.
        noise: shares of labels to flip.
        draws: of each.
        penalties: on the path.
    """

    def __init__(
        self, task: Task, sizes: Sequence[int], noise: Sequence[float], draws: int, penalties: int
    ) -> None:
        self._task, self._penalties = task, penalties
        self._sizes = [n for n in sorted(set(sizes)) if n < len(task.train)]
        self._shares, self._draws = sorted(set(noise)), draws
        self.efficiency: list[CurvePoint] = []
        self.noise: list[CurvePoint] = []
        self.sources: list[SourceRow] = []

    def add(
        self,
        fits: Sequence[Fit],
        readers: Sequence[Reader],
        sparse: Sequence[int],
        progress: Progress | None = None,
    ) -> None:
        """Trace these rows, each reader's features being loaded once more."""
        wanted: dict[str, list[Fit]] = {}
        for fit in fits:
            wanted.setdefault(fit.row.reader, []).append(fit)
        chosen = [reader for reader in readers if reader.name in wanted]
        for reader in track(progress, chosen, "Drawing curves", unit="readers"):
            table = reader.table(len(self._task.labels), self._task.train)
            ways = {way.kind: way for way in reader.ways(table, sparse)}
            grid = table.grid(self._penalties)
            for fit in wanted[reader.name]:
                self._trace(fit, ways[fit.row.kind], grid)

    def _trace(self, fit: Fit, way: Way, grid: Float64[np.ndarray, " p"]) -> None:
        task = self._task
        whole = (fit.verdict.values["auroc"],)
        for n in self._sizes:
            drawn = [self._small(way, grid, texts) for texts in self._subsets(n)]
            self.efficiency.append(_point(fit, n, 0.0, drawn))
        self.efficiency.append(_point(fit, len(task.train), 0.0, whole))
        self.noise.append(_point(fit, len(task.train), 0.0, whole))
        for share in self._shares:
            found = self._noisy(way, grid, share)
            self.noise.append(_point(fit, len(task.train), share, found))
        self.sources += self._by_source(fit, way, grid)

    def _subsets(self, n: int) -> Iterator[Int[np.ndarray, " n"]]:
        """Places in the training texts, with the same share of either label in every draw."""
        y = self._task.train_labels
        ones = min(max(2, round(n * y.mean())), n - 2)
        for draw in range(self._draws):
            rng = np.random.default_rng([self._task.seed, n, draw])
            parts = [
                rng.choice(np.flatnonzero(y == label), size, replace=False)
                for label, size in ((1, ones), (0, n - ones))
            ]
            yield np.sort(np.concatenate(parts))

    def _small(
        self, way: Way, grid: Float64[np.ndarray, " p"], places: Int[np.ndarray, " n"]
    ) -> float:
        return self._trained(way, grid, places, self._task.train_labels[places][:, None])[0]

    def _noisy(self, way: Way, grid: Float64[np.ndarray, " p"], share: float) -> list[float]:
        y = self._task.train_labels
        flipped = np.empty((len(y), self._draws), np.int64)
        for draw in range(self._draws):
            rng = np.random.default_rng([self._task.seed, round(share * 1e6), draw])
            wrong = rng.permutation(len(y))[: round(share * len(y))]
            flipped[:, draw] = y
            flipped[wrong, draw] = 1 - y[wrong]
        return self._trained(way, grid, np.arange(len(y)), flipped)

    def _trained(
        self,
        way: Way,
        grid: Float64[np.ndarray, " p"],
        places: Int[np.ndarray, " n"],
        labels: np.ndarray,
    ) -> list[float]:
        """AUROC on the report texts after training on these labels [n k], one a column."""
        task = self._task
        decided = self._decisions(way, grid, places, labels, task.report)
        return [auroc(z, task.report_labels) for z in decided]

    def _decisions(
        self,
        way: Way,
        grid: Float64[np.ndarray, " p"],
        places: Int[np.ndarray, " n"],
        labels: np.ndarray,
        onto: Int[np.ndarray, " m"],
    ) -> Iterator[Float64[np.ndarray, " m"]]:
        """Decisions on other texts after training on these labels [n k], one a column."""
        task = self._task
        texts = task.train[places]
        groups = None if task.groups is None else task.groups[texts].tolist()
        folds = make_folds(task.labels[texts], groups, _FOLDS, task.seed)
        if len(places) >= _ONE_FOLD_FROM:
            folds = folds[:1]
        best = choose(way, texts, labels, grid, folds)[0]
        for column, number in enumerate(best):
            yield way.decide(texts, labels[:, [column]], grid[[number]], onto)[:, 0, 0]

    def _by_source(
        self, fit: Fit, way: Way, grid: Float64[np.ndarray, " p"]
    ) -> Iterator[SourceRow]:
        task = self._task
        if task.sources is None or len(set(task.sources[task.report].tolist())) < 2:
            return
        y = task.report_labels
        for source in sorted(set(task.sources[task.report].tolist())):
            here = task.sources[task.report] == source
            ones = int(y[here].sum())
            groups = None if task.report_groups is None else task.report_groups[here]
            measurable = _measurable(y[here], groups)
            seen = left_out = None
            others = np.flatnonzero(task.sources[task.train] != source)
            labels = task.train_labels[others][:, None]
            if measurable:
                seen = auroc_interval(fit.verdict.decisions[here], y[here], groups)
            if measurable and len(np.unique(labels)) == 2:
                [z] = self._decisions(way, grid, others, labels, task.report[here])
                left_out = auroc_interval(z, y[here], groups)
            row = fit.row
            yield SourceRow(row.label, row.family, source, int(here.sum()), ones, seen, left_out)


def _measurable(y: Int[np.ndarray, " n"], groups: np.ndarray | None) -> bool:
    """Whether there are two draws of either label, which an interval needs."""
    names = np.arange(len(y)) if groups is None else groups
    return all(len(np.unique(names[y == label])) >= 2 for label in (0, 1))


def _point(fit: Fit, labels: int, noise: float, draws: Sequence[float]) -> CurvePoint:
    found = tuple(float(one) for one in draws)
    low, high = min(found), max(found)
    mean = float(np.mean(found))
    return CurvePoint(fit.row.label, fit.row.family, labels, noise, mean, low, high, found)
