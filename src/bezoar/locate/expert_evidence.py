"""How many units look like experts when there is nothing to know, and what else makes them so.

Everything is read off one store in one pass: a block of columns is ranked once, and its AUROC under
every shuffle of the labels is a matrix product with the ranks. Only counts leave a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bezoar.activations import ActivationStore
from bezoar.locate.expert_results import Agreement, ExpertGroup, Lengths
from bezoar.locate.expert_spread import Tally, agreement, correlation, spread
from bezoar.models import Site
from bezoar.runs.progress import Progress, track
from bezoar.stats import auroc, shuffled_labels
from bezoar.stats.matching import bands, matched_rows
from bezoar.stats.ranks import auroc_of_ranks, doubled_ranks, sortable_columns

FEWEST = 20
"""Texts of each class, of equal lengths, below which nothing is said of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The labellings under which every unit is scored.

    Attributes:
        labellings: [1 + shuffles, texts], the true one first.
        longer: whether a text is in the longer half; None if all are of one length.
        matched: rows of equal lengths in both classes; none if they are too few.
        matched_labellings: of these rows, shuffled among those of one length.
        halves: pairs of sets of rows.
        kept: how many shuffles are kept unit by unit.
        lengths: what is said of them.
    """

    labellings: np.ndarray
    longer: np.ndarray | None
    matched: np.ndarray
    matched_labellings: np.ndarray
    halves: tuple[tuple[np.ndarray, np.ndarray], ...]
    kept: int
    lengths: Lengths

    @property
    def labels(self) -> np.ndarray:
        """The true ones [texts]."""
        return np.asarray(self.labellings[0])


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of the units of one site.

    Attributes:
        all_texts: on all texts.
        matched: on texts of equal lengths; None if they are too few.
        by_length: [d], AUROC of long against short texts.
        shuffled: [kept d], AUROC under the first shuffles.
        halves: [2 · halves, d], AUROC on one half and the other, and so on.
    """

    all_texts: Tally
    matched: Tally | None
    by_length: np.ndarray
    shuffled: np.ndarray
    halves: np.ndarray


def draw(
    labels: np.ndarray, lengths: np.ndarray, *, shuffles: int, kept: int, halves: int, seed: int
) -> Draws:
    """Decide on everything random, before any activation is read.

    Args:
        labels: 0/1 [texts], of both kinds.
        lengths: tokens of each text.
        shuffles, kept, halves: how many.
        seed: of all of them.
    """
    strata = bands(lengths)
    rows = matched_rows(strata, labels, seed)
    enough = len(rows) >= 2 * FEWEST
    rows = rows if enough else rows[:0]
    again = (
        shuffled_labels(labels[rows], shuffles, seed, strata[rows])
        if enough
        else labels[None, rows]
    )
    longer = lengths > np.median(lengths)
    longer = longer if longer.any() else lengths > lengths.min()
    told = Lengths(
        mean_negative=float(lengths[labels == 0].mean()),
        mean_positive=float(lengths[labels == 1].mean()),
        auroc=auroc(lengths, labels),
        matched_texts=len(rows),
        matched_auroc=auroc(lengths[rows], labels[rows]) if enough else None,
    )
    return Draws(
        labellings=np.stack([labels, *shuffled_labels(labels, shuffles, seed)]),
        longer=longer if longer.any() else None,
        matched=rows,
        matched_labellings=np.stack([labels[rows], *again]),
        halves=tuple(_halves(labels, np.random.default_rng([seed, i])) for i in range(halves)),
        kept=min(kept, shuffles),
        lengths=told,
    )


def collect(
    store: ActivationStore, sites: Iterable[Site], drawn: Draws, progress: Progress | None = None
) -> dict[Site, Evidence]:
    """Score every unit of the sites under every labelling, a block of columns at a time."""
    found: dict[Site, Evidence] = {}
    for site in track(progress, list(sites), "Scoring under shuffled labels", unit="sites"):
        parts = list(store.parts(site))
        place = np.argsort(np.concatenate([rows for rows, _ in parts]))
        values = [part for _, part in parts]
        found[site] = _empty(values[0].shape[1], drawn)
        for columns, block in sortable_columns(values):
            _add(found[site], columns, block[:, place], drawn)
    return found


def group_of(
    name: str,
    found: dict[Site, Evidence],
    drawn: Draws,
    other: dict[Site, Evidence] | None,
    top: int,
) -> ExpertGroup:
    """What is said of some sites together.

    Args:
        name: of the group.
        found: the evidence of its sites.
        drawn: the labellings.
        other: the same of another corpus, if there is one.
        top: how many units are the best ones.
    """
    values = np.concatenate([e.all_texts.auroc for e in found.values()])
    by_length = np.concatenate([e.by_length for e in found.values()])
    matched = {site: e.matched for site, e in found.items() if e.matched is not None}
    return ExpertGroup(
        name=name,
        points=tuple(dict.fromkeys(site.point for site in found)),
        all_texts=spread({site: e.all_texts for site, e in found.items()}, drawn.labels),
        matched=spread(matched, drawn.matched_labellings[0]) if matched else None,
        rising_with_length=float((by_length > 0.5).mean()),
        length_correlation=correlation(values, by_length),
        halves=_within(list(found.values()), top),
        corpora=_between(found, other, top, lambda e: e.all_texts),
        corpora_matched=_between(found, other, top, lambda e: e.matched),
        other_halves=None if other is None else _within([other[site] for site in found], top),
    )


def _within(sites: Sequence[Evidence], top: int) -> Agreement | None:
    """How alike the units are on random halves of the texts, if these were divided."""
    halves = np.concatenate([e.halves for e in sites], axis=1)
    pairs = [(halves[i], halves[i + 1]) for i in range(0, len(halves), 2)]
    return agreement("random halves of the texts", pairs, top) if pairs else None


def _between(
    found: dict[Site, Evidence],
    other: dict[Site, Evidence] | None,
    top: int,
    of: Callable[[Evidence], Tally | None],
) -> Agreement | None:
    """How alike the units are on two corpora, if there are two, and texts of that kind in both."""
    if other is None:
        return None
    sides: list[np.ndarray] = []
    for known in (found, other):
        tallies = [of(known[site]) for site in found]
        values = [tally.auroc for tally in tallies if tally is not None]
        if len(values) < len(tallies):
            return None
        sides.append(np.concatenate(values))
    return agreement("two corpora", [(sides[0], sides[1])], top)


def _halves(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random halves with as many of each class as may be."""
    first: list[np.ndarray] = []
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        first.append(rows[: len(rows) // 2])
    one = np.sort(np.concatenate(first))
    return one, np.setdiff1d(np.arange(len(labels)), one)


def _empty(d: int, drawn: Draws) -> Evidence:
    return Evidence(
        all_texts=Tally.empty(d, len(drawn.labellings)),
        matched=Tally.empty(d, len(drawn.matched_labellings)) if len(drawn.matched) else None,
        by_length=np.full(d, 0.5),
        shuffled=np.empty((drawn.kept, d), np.float32),
        halves=np.empty((2 * len(drawn.halves), d), np.float32),
    )


def _add(found: Evidence, columns: slice, block: np.ndarray, drawn: Draws) -> None:
    ranks = doubled_ranks(block)
    values = auroc_of_ranks(ranks, drawn.labellings)
    found.all_texts.add(columns, values)
    found.shuffled[:, columns] = values[:, 1 : 1 + drawn.kept].T
    if drawn.longer is not None:
        found.by_length[columns] = auroc_of_ranks(ranks, drawn.longer[None])[:, 0]
    if found.matched is not None:
        ranks = doubled_ranks(block[:, drawn.matched])
        found.matched.add(columns, auroc_of_ranks(ranks, drawn.matched_labellings))
    for i, rows in enumerate(side for pair in drawn.halves for side in pair):
        ranks = doubled_ranks(block[:, rows])
        found.halves[i, columns] = auroc_of_ranks(ranks, drawn.labels[None, rows])[:, 0]
