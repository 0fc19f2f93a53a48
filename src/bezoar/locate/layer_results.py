"""What `layer_experts` finds: each layer's clusters beside everything that they must beat."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.runs.results import Result
from bezoar.stats import Interval


@dataclass(frozen=True, slots=True)
class ClusterScore(Result):
    """How well two clusters of a layer's texts agree with the labels.

    The AUROC of a hard assignment is its balanced accuracy.

    Attributes:
        auroc: on the test texts; which cluster is the behaviour was said by the training labels.
        matched: as published, ``max(AUROC, 1 − AUROC)``: said by the test labels themselves.
        null_mean, null_high: of ``matched`` under shuffled labels, its mean and 95th percentile;
            above ½, because matching alone gains something.
        null_p: p of ``matched`` among those.
        silhouette: mean over test texts; None where one cluster is empty.
        length_auroc: of the same assignment, matched, for "longer than the median text": what the
            clusters may be about instead. None if all texts are of one length.
        share: of the test texts, how many are in the cluster of the behaviour.
        equal_length: ``auroc`` on texts of which either class has as many of every length; None if
            there are too few.
    """

    auroc: Interval
    matched: Interval
    null_mean: float
    null_high: float
    null_p: float
    silhouette: float | None
    length_auroc: float | None
    share: float
    equal_length: Interval | None


@dataclass(frozen=True, slots=True)
class ReaderScore(Result):
    """How well something that was fitted to the training labels reads the test texts.

    Attributes:
        auroc: of its decisions, which are numbers.
        balanced_accuracy: of its verdicts, which are not: like a cluster's.
        equal_length: of its verdicts on texts of equal length, as of a cluster's.
        unit: number of the neuron, if it is one.
    """

    auroc: Interval
    balanced_accuracy: Interval
    equal_length: Interval | None
    unit: int | None = None


@dataclass(frozen=True, slots=True)
class MeanNeuron(Result):
    """What the neurons of a layer do on average.

    Attributes:
        units: how many.
        plain: mean AUROC as published: a neuron that falls silent on the behaviour counts below ½.
        signed: each neuron's sign was said by the training labels.
        halved: each neuron treated as a layer is: cut in two without labels (2-means), the side of
            the behaviour said by the training labels.
    """

    units: int
    plain: Interval
    signed: Interval
    halved: Interval


@dataclass(frozen=True, slots=True)
class LayerScore(Result):
    """One layer.

    Attributes:
        layer: from 0.
        site: where its rows were read.
        depth: share of the layers that are passed there: 1 for the last.
        kmeans, hierarchical: the clusters.
        best_neuron: the one that separates the training texts best, cut where it does so best.
        mean_neuron: all of them.
        probe, mean_difference: linear readers.
    """

    layer: int
    site: str
    depth: float
    kmeans: ClusterScore
    hierarchical: ClusterScore
    best_neuron: ReaderScore
    mean_neuron: MeanNeuron
    probe: ReaderScore
    mean_difference: ReaderScore


@dataclass(frozen=True, slots=True)
class LayerRanks(Result):
    """The place of each layer among all by one criterion: 0 the worst, 1 the best, ½ for a tie.

    Attributes:
        criterion: what they are ranked by.
        observed: on the test texts, layer by layer.
        draws: the same in bootstrap resamples of the test texts.
    """

    criterion: str
    observed: tuple[float, ...]
    draws: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Contest(Result):
    """Clusters of layers against one rival, on the same texts.

    Attributes:
        layers: what of the clusters is compared: "mean of layers" or "best layer".
        rival: against what.
        like_for_like: whether both are averages or both chosen, both hard verdicts, and their sides
            said by the same labels.
        clusters, rival_auroc: AUROC of either.
        difference: of the clusters' AUROC minus the rival's, paired by text.
    """

    layers: str
    rival: str
    like_for_like: bool
    clusters: Interval
    rival_auroc: Interval
    difference: Interval


@dataclass(frozen=True, slots=True, repr=False)
class LayerExperts(Result):
    """Is a layer an expert, and is it one by more than being many neurons?

    Attributes:
        model, corpus: their names.
        kind: "decoder" or "encoder".
        layers: in order.
        ranks: of the layers, by each criterion.
        contests: clusters against neurons and linear readers: as published, and like for like.
        best_null_p: p of the best layer's matched AUROC among the best of each shuffled draw.
        train_n, test_n, test_positives: texts.
        equal_n: test texts of equal length.
        pooling: of positions into one row a text.
        neurons: what the neurons are.
        linkage: of the hierarchy.
        tokens_per_character, unknown_share: how the tokenizer spells the test texts.
        caveat: why nothing may be claimed; empty if something may.
    """

    model: str
    corpus: str
    kind: str
    layers: tuple[LayerScore, ...]
    ranks: tuple[LayerRanks, ...]
    contests: tuple[Contest, ...]
    best_null_p: float
    train_n: int
    test_n: int
    test_positives: int
    equal_n: int
    pooling: str
    neurons: str
    linkage: str
    tokens_per_character: float
    unknown_share: float
    caveat: str = ""

    def ranked_by(self, criterion: str) -> LayerRanks | None:
        """The ranks by one criterion, if there are such."""
        return next((ranks for ranks in self.ranks if ranks.criterion == criterion), None)

    def __rich__(self) -> Table:
        about = f"{self.corpus} in the layers of {self.model} ({self.kind}, {self.test_n:,} texts)"
        title = f"{about}\n{self.caveat}" if self.caveat else about
        table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column("layer")
        for name in ("k-means", "equal length", "silhouette", "by chance", "hierarchical"):
            table.add_column(name, justify="right", no_wrap=True)
        for name in ("mean neuron", "best neuron", "mean diff.", "probe"):
            table.add_column(name, justify="right", no_wrap=True)
        for one in self.layers:
            k = one.kmeans
            table.add_row(
                str(one.layer),
                str(k.auroc),
                "" if k.equal_length is None else f"{k.equal_length.value:.3f}",
                "" if k.silhouette is None else f"{k.silhouette:.2f}",
                f"{k.null_high:.3f}",
                f"{one.hierarchical.auroc.value:.3f}",
                f"{one.mean_neuron.halved.value:.3f}",
                *(
                    f"{reader.balanced_accuracy.value:.3f}"
                    for reader in (one.best_neuron, one.mean_difference, one.probe)
                ),
            )
        return table


@dataclass(frozen=True, slots=True, repr=False)
class LayersReport(Result):
    """Several models or corpora side by side; the audited model on the audit's texts first.

    Attributes:
        experts: one a pair of model and corpus.
    """

    experts: tuple[LayerExperts, ...]

    def __rich__(self) -> Table:
        table = Table(title="layer experts", box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for name in (
            "model",
            "corpus",
            "clusters",
            "rival",
            "AUROC",
            "difference",
            "alike",
            "note",
        ):
            table.add_column(name)
        for one in self.experts:
            for number, fight in enumerate(one.contests):
                about = (f"{one.model} ({one.kind})", one.corpus) if not number else ("", "")
                table.add_row(
                    *about,
                    f"{fight.layers}: {fight.clusters.value:.3f}",
                    fight.rival,
                    f"{fight.rival_auroc.value:.3f}",
                    str(fight.difference),
                    "yes" if fight.like_for_like else "no",
                    "" if number else one.caveat,
                )
        return table
