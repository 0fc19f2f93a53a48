"""What is known of single neurons as experts: how many there are, and what else explains them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.runs.results import Result

BINS = 200
"""Of the histogram of AUROC, each 0.005 wide: the thresholds below are edges of it."""
THRESHOLDS = (0.50, 0.51, 0.52, 0.55)
"""Of the table of EigenShift 2025."""


@dataclass(frozen=True, slots=True)
class ShareAbove(Result):
    """Units above a threshold of AUROC.

    Attributes:
        threshold: strictly above it.
        share: of the units.
        null_low, null_mean, null_high: 2.5th percentile, mean and 97.5th of the share under
            shuffled labels. Units are correlated, so that the band comes from whole shuffles.
        p: share of labellings, the true one included, under which as many units are above.
    """

    threshold: float
    share: float
    null_low: float
    null_mean: float
    null_high: float
    p: float


@dataclass(frozen=True, slots=True)
class Spread(Result):
    """The AUROC of many units on some texts.

    Attributes:
        texts, positives: how many.
        units: how many.
        mean, median: of their AUROC; the median to the width of a bin.
        counts: units in each of 200 bins from 0 to 1, each without its lower edge.
        above: share of units strictly above each of the 201 edges, and
        null_low, null_mean, null_high: the same under shuffled labels, as in `ShareAbove`.
        shares: the same at the thresholds of the paper.
        best_site, best_index, best: the unit with the highest AUROC, and
        best_null: the highest AUROC of any unit under each shuffled labelling;
        best_p: share of labellings, the true one included, whose best is as good.
    """

    texts: int
    positives: int
    units: int
    mean: float
    median: float
    counts: tuple[int, ...]
    above: tuple[float, ...]
    null_low: tuple[float, ...]
    null_mean: tuple[float, ...]
    null_high: tuple[float, ...]
    shares: tuple[ShareAbove, ...]
    best_site: str
    best_index: int
    best: float
    best_null: tuple[float, ...]
    best_p: float


@dataclass(frozen=True, slots=True)
class Agreement(Result):
    """Whether two sets of texts name the same units.

    Attributes:
        of: what was compared.
        rank_correlation: Spearman's, of the AUROC of all units; the mean over draws.
        rank_low, rank_high: the least and the most of any draw.
        top: how many units are the best ones.
        overlap: share of the best units of one set that are among those of the other.
        overlap_low, overlap_high: the least and the most of any draw.
        chance: the overlap of two random sets of that many.
        draws: how often texts were divided; 1 between two corpora.
    """

    of: str
    rank_correlation: float
    rank_low: float
    rank_high: float
    top: int
    overlap: float
    overlap_low: float
    overlap_high: float
    chance: float
    draws: int


@dataclass(frozen=True, slots=True)
class ExpertGroup(Result):
    """Units that are looked at together.

    Attributes:
        name: "paper" for the outputs of the MLP's linear maps, else the point.
        points: of every layer.
        all_texts: on all texts; shuffles are of all labels.
        matched: on texts of equal length in both classes; shuffles are among texts of one length.
            None if too few texts match.
        rising_with_length: share of units that are larger in the longer half of the texts, the
            labels aside.
        length_correlation: Spearman's over units, of how they separate the classes and how they
            separate long from short.
        halves: between random halves of the texts; None if that was not asked for.
        corpora: between two corpora; None if there is one.
        corpora_matched: the same, on texts of equal lengths in both classes of either.
        other_halves: between random halves of the second corpus: two corpora cannot agree more
            than each of them agrees with itself.
    """

    name: str
    points: tuple[str, ...]
    all_texts: Spread
    matched: Spread | None
    rising_with_length: float
    length_correlation: float
    halves: Agreement | None
    corpora: Agreement | None
    corpora_matched: Agreement | None = None
    other_halves: Agreement | None = None


@dataclass(frozen=True, slots=True)
class Lengths(Result):
    """How long the texts are, which a maximum over their tokens grows with.

    Attributes:
        mean_negative, mean_positive: tokens of a text of either class.
        auroc: of the length alone; below .5 texts of the behaviour are shorter.
        matched_texts: how many are left when every length has as many of either class.
        matched_auroc: of the length alone among these; None if too few match.
    """

    mean_negative: float
    mean_positive: float
    auroc: float
    matched_texts: int
    matched_auroc: float | None


@dataclass(frozen=True, slots=True, repr=False)
class ExpertsReport(Result):
    """Single neurons as experts (Suau et al. 2024), with the controls that the count needs.

    Attributes:
        model, corpus: names.
        other: name of the second corpus; empty if there is none.
        pooling: of tokens to one number a text.
        max_tokens: where texts were cut.
        shuffles: shuffled labellings behind every band.
        lengths: of the texts.
        groups: units that are looked at together, those of the paper first if they are there.
    """

    model: str
    corpus: str
    other: str
    pooling: str
    max_tokens: int
    shuffles: int
    lengths: Lengths
    groups: tuple[ExpertGroup, ...]

    def __rich__(self) -> Table:
        title = f"units above an AUROC, {self.pooling} over tokens ({self.corpus})"
        columns = ("units", "above", "share", "shuffled labels", "equal lengths", "shuffled labels")
        table = Table(*columns, title=title)
        for group in self.groups:
            for i, row in enumerate(group.all_texts.shares):
                matched = None if group.matched is None else group.matched.shares[i]
                name = f"{group.name} ({group.all_texts.units:,})" if i == 0 else ""
                table.add_row(name, f"{row.threshold:.2f}", *_told(row), *_told(matched))
        table.caption = (
            f"texts with the behaviour have {self.lengths.mean_positive:.0f} tokens, others "
            f"{self.lengths.mean_negative:.0f}; {self.groups[0].rising_with_length:.0%} of units "
            "are larger in longer texts"
        )
        return table


def _told(row: ShareAbove | None) -> tuple[str, str]:
    if row is None:
        return "–", "–"
    return f"{row.share:.1%}", f"{row.null_low:.1%} to {row.null_high:.1%}"
