"""What a contest of readers found: every row with its interval, and who won, if anyone did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.table import Table

from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval

Family = Literal["sae", "dense", "untrained", "baseline"]
FAMILIES: dict[Family, str] = {
    "sae": "SAE latents",
    "dense": "dense activations",
    "untrained": "an untrained dictionary",
    "baseline": "what needs no model",
}
"""What a reader reads, by the name of its family."""


@dataclass(frozen=True, slots=True)
class ContestRow(Result):
    """One way to tell the classes apart, fitted on the training texts, measured on the others.

    Attributes:
        reader: its name, such as "topk 3.resid_post, mean".
        family: what it reads.
        kind: how it reads it: "all", "k=5", "mean difference", "words", …
        site, pooling: of states and latents, else "".
        n_features: with a weight that is not 0.
        penalty: chosen by cross-validation; None where there is nothing to choose.
        cv_auroc: cross-validated on the training texts. All choices are made by it.
        auroc: DeLong et al. 1988. The other intervals are of the bootstrap by text. In either,
            texts of one group are drawn together (Obuchowski 1997).
        average_precision: of label 1.
        f1, balanced_accuracy: at the threshold with the best balanced accuracy on held-out
            training texts.
        tpr_at_1: true positive rate where 1 % of the others are flagged.
        calibration_error: expected, of probabilities by Platt's scaling of held-out decisions. What
            it is of a perfectly calibrated reader is not 0 but a little more; see ``calibrated``.
        calibrated: that error, had each label been drawn with the probability the reader gave.
        features: which latents or coordinates a sparse reader chose.
        chosen: the best of its kind and family by ``cv_auroc``; only these enter differences.
    """

    reader: str
    family: Family
    kind: str
    site: str
    pooling: str
    n_features: int
    penalty: float | None
    cv_auroc: float
    auroc: Interval
    average_precision: Interval
    f1: Interval
    balanced_accuracy: Interval
    tpr_at_1: Interval
    calibration_error: Interval
    calibrated: float
    features: tuple[int, ...] = ()
    chosen: bool = False

    @property
    def label(self) -> str:
        """Name and kind: unique in a contest."""
        return self.reader if self.kind == self.reader else f"{self.reader}: {self.kind}"


@dataclass(frozen=True, slots=True)
class Difference(Result):
    """Reader ``a`` minus reader ``b`` on the same report texts.

    Attributes:
        a, b: labels of rows.
        metric: "auroc", "average_precision" or "tpr_at_1".
        interval: paired bootstrap by text.
        p: two-sided, of the normal approximation with the bootstrap's standard error.
        holm_p: adjusted for all differences of this metric in the contest (Holm 1979).
    """

    a: str
    b: str
    metric: str
    interval: Interval
    p: float
    holm_p: float

    @property
    def settled(self) -> bool:
        return self.interval.excludes_zero and self.holm_p < 0.05


@dataclass(frozen=True, slots=True)
class CurvePoint(Result):
    """AUROC on the report texts after training on fewer labels, or on some wrong ones.

    Attributes:
        reader: label of a row.
        family: of that.
        labels: that were trained on.
        noise: share of them that was flipped.
        auroc: the mean over draws.
        low, high: the least and the largest draw.
        draws: AUROC of each.
    """

    reader: str
    family: Family
    labels: int
    noise: float
    auroc: float
    low: float
    high: float
    draws: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SourceRow(Result):
    """One reader on the report texts of one source.

    Attributes:
        reader: label of a row.
        family: of that.
        source: its name.
        n, positives: report texts of it.
        auroc: of the reader trained on all sources; None if the texts are of one class.
        left_out: of the same after training on every other source, which also chose the penalty
            and what few features are read; None if that cannot be done. What the reader is was
            chosen with all sources, and an autoencoder was trained on them, without their labels.
    """

    reader: str
    family: Family
    source: str
    n: int
    positives: int
    auroc: Interval | None
    left_out: Interval | None


@dataclass(frozen=True, slots=True, repr=False)
class Contest(Result):
    """SAE latents against dense probes and what needs no model, on equal terms.

    Attributes:
        task: what is told apart.
        rows: every reader and kind.
        differences: the first of each metric is the contest itself, the best SAE reader minus the
            best dense one, both chosen on training texts. Then the best SAE reader minus the same
            of an untrained dictionary, and that minus the best dense one, if there is any; each
            kind of the two families against the other's best, and both bests against what needs
            no model.
        efficiency: learning curves.
        noise: with wrong labels.
        leave_one_out: by source.
        winner, loser: families, if the first difference is settled; else "".
        settled: whether its interval excludes zero. It is the one question asked in advance, and so
            is not adjusted for the others.
        verdict: in words.
        fewest: of each family, the least k at which its k-sparse reader is not measurably below the
            best dense one; None if none is.
        train_n, train_positives, report_n, report_positives: texts.
        balance: of the classes in training.
        folds, grid: of the choices.
    """

    task: str
    rows: tuple[ContestRow, ...]
    differences: tuple[Difference, ...]
    efficiency: tuple[CurvePoint, ...]
    noise: tuple[CurvePoint, ...]
    leave_one_out: tuple[SourceRow, ...]
    winner: str
    loser: str
    settled: bool
    verdict: str
    fewest: dict[str, int | None]
    train_n: int
    train_positives: int
    report_n: int
    report_positives: int
    balance: str
    folds: int
    grid: str

    @property
    def training(self) -> Difference | None:
        """What training the dictionary is worth in AUROC: the best SAE reader minus the same of an
        untrained one; None if none took part."""
        labels = {row.label for row in self.rows if row.family == "untrained"}
        pairs = (one for one in self.differences if one.metric == "auroc" and one.b in labels)
        return next(pairs, None)

    def row(self, label: str) -> ContestRow:
        """The row of a label."""
        return next(row for row in self.rows if row.label == label)

    def best(self, family: Family) -> ContestRow | None:
        """The reader of a family that cross-validation on the training texts prefers."""
        found = [row for row in self.rows if row.family == family]
        return max(found, key=lambda row: row.cv_auroc, default=None)

    def __rich__(self) -> Table:
        table = Table(
            title=f"{self.task}: {self.report_n:,} texts, {self.report_positives:,} positive",
            caption=self.verdict,
            box=None,
            padding=(0, 2, 0, 0),
            pad_edge=False,
        )
        table.add_column("reader")
        for name in ("features", "AUROC", "AP", "F1", "balanced", "TPR@1%", "calibration"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            if not row.chosen:
                continue
            rest = (row.average_precision, row.f1, row.balanced_accuracy, row.tpr_at_1)
            cells = [f"{one.value:.3f}" for one in (*rest, row.calibration_error)]
            table.add_row(row.label, f"{row.n_features:,}", str(row.auroc), *cells)
        return table
