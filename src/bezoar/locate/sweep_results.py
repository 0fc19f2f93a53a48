"""What a probe sweep returns."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.models import Site
from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class ProbeScore(Result):
    """How well the behaviour is read at one site, on texts that no probe was fitted to.

    Attributes:
        site: "4.resid_post".
        auroc: DeLong's interval; the other intervals are bootstrapped.
        average_precision, tpr_at_fpr: the latter at 1 % false positives.
        balanced_accuracy: at the cut that held-out *training* decisions chose.
        accuracy: of the likelier class; to be read beside ``ProbeSweep.majority_rate``.
        cv_auroc: of held-out training decisions; sites are compared by this.
        l2: the chosen penalty.
        null: AUROC of the same probe fitted to shuffled labels, one a draw.
        null_p: of ``auroc`` among them; None without draws.
    """

    site: str
    auroc: Interval
    average_precision: Interval
    balanced_accuracy: Interval
    tpr_at_fpr: Interval
    accuracy: float
    cv_auroc: float
    l2: float
    null: tuple[float, ...] = ()
    null_p: float | None = None

    @property
    def layer(self) -> int | None:
        return Site.parse(self.site).layer

    @property
    def point(self) -> str:
        return Site.parse(self.site).point


@dataclass(frozen=True, slots=True)
class RivalScore(Result):
    """How well the classes are told apart without what the model learnt.

    By "length" or "bag of words", or read like the best site from an "untrained twin".

    Attributes are those of `ProbeScore`.
    """

    name: str
    auroc: Interval
    average_precision: Interval
    balanced_accuracy: Interval
    tpr_at_fpr: Interval
    cv_auroc: float


@dataclass(frozen=True, slots=True)
class KindScore(Result):
    """How well another kind of probe reads the behaviour at one site.

    Attributes:
        kind: "mean difference" or "LDA".
        site, auroc, average_precision, balanced_accuracy, tpr_at_fpr, cv_auroc, null, null_p: as in
            `ProbeScore`.
    """

    kind: str
    site: str
    auroc: Interval
    average_precision: Interval
    balanced_accuracy: Interval
    tpr_at_fpr: Interval
    cv_auroc: float
    null: tuple[float, ...] = ()
    null_p: float | None = None


@dataclass(frozen=True, slots=True)
class SourceScore(Result):
    """The best site's probe on the texts of one source.

    Attributes:
        source: its name.
        n, positives: test texts of it.
        auroc: of the probe fitted to all sources; None if the texts are of one class.
        left_out: of a probe fitted to every other source; None if that cannot be done.
    """

    source: str
    n: int
    positives: int
    auroc: Interval | None
    left_out: Interval | None


@dataclass(frozen=True, slots=True, repr=False)
class ProbeSweep(Result):
    """Where the behaviour can be read: every site that was asked for, and its rivals.

    Attributes:
        scores: in the order in which the model computes the sites.
        rivals: without what the model learnt, on the same texts.
        over_words: AUROC of the best site minus that of the bag of words, paired by text.
        best_null_p: p of the best site's AUROC among the *largest* of each shuffled draw: having
            looked at many sites is paid for. None without draws.
        sources: results by source; empty if the corpus has one.
        majority_rate: accuracy of always naming the commoner class.
        train_n, test_n, test_positives: texts.
        pooling: of the features.
        model, corpus: their names.
        kinds: the other kinds of probe, site after site.
    """

    scores: tuple[ProbeScore, ...]
    rivals: tuple[RivalScore, ...]
    over_words: Interval
    best_null_p: float | None
    sources: tuple[SourceScore, ...]
    majority_rate: float
    train_n: int
    test_n: int
    test_positives: int
    pooling: str
    model: str
    corpus: str
    kinds: tuple[KindScore, ...] = ()

    @property
    def best(self) -> ProbeScore:
        """The site with the largest cross-validated AUROC on the training texts.

        Chosen there and reported on the test texts: the best of many on the latter would flatter.
        """
        return max(self.scores, key=lambda score: score.cv_auroc)

    def at(self, site: str | Site) -> ProbeScore | None:
        """The score of one site, if it was swept."""
        return next((score for score in self.scores if score.site == str(site)), None)

    def best_of(self, kind: str) -> KindScore | None:
        """The site where a kind of probe has its largest cross-validated AUROC."""
        found = [score for score in self.kinds if score.kind == kind]
        return max(found, key=lambda score: score.cv_auroc, default=None)

    def best_by_kind(self) -> tuple[KindScore, ...]:
        """`best_of` each other kind."""
        found = map(self.best_of, dict.fromkeys(score.kind for score in self.kinds))
        return tuple(score for score in found if score is not None)

    def __rich__(self) -> Table:
        title = (
            f"where {self.corpus} can be read in {self.model} "
            f"({self.test_n:,} test texts, majority {self.majority_rate:.1%})"
        )
        table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column("site")
        for name in ("AUROC", "AP", "balanced", "TPR@1%", "shuffled"):
            table.add_column(name, justify="right", no_wrap=True)
        best = self.best.site
        for s in self.scores:
            null = f"{max(s.null):.3f}" if s.null else ""
            mark = " *" if s.site == best else ""
            table.add_row(s.site + mark, *_columns(s), null)
        for k in self.best_by_kind():
            null = f"{max(k.null):.3f}" if k.null else ""
            table.add_row(f"{k.kind}, {k.site}", *_columns(k), null)
        for r in self.rivals:
            table.add_row(r.name, *_columns(r), "")
        return table


def _columns(score: ProbeScore | RivalScore | KindScore) -> tuple[str, ...]:
    rest = (score.average_precision, score.balanced_accuracy, score.tpr_at_fpr)
    return (str(score.auroc), *(f"{interval.value:.3f}" for interval in rest))
