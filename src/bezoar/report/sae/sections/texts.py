"""The texts: the source's three pictures, what an audit shows of its texts, what to doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bezoar.corpus.explore import GroupCount
from bezoar.corpus.explore_lengths import LengthDistribution
from bezoar.corpus.explore_survey import Cell
from bezoar.report.blocks import Block, Picture, Section, Text
from bezoar.report.figures.length_distribution import length_distribution
from bezoar.report.figures.length_map import length_map
from bezoar.report.figures.survey_counts import survey_counts
from bezoar.report.numbers import count, number
from bezoar.report.sae.artefacts import Study
from bezoar.report.sections.data import data
from bezoar.report.sections.doubtful import doubtful


def texts(study: Study) -> Section:
    """Counts, lengths and mean lengths by source and category; then classes and cues."""
    told = data(study.audit)
    seen = study.audit.exploration
    cells = () if seen is None else cells_of(seen.counts)
    several = len(cells) > 1
    blocks: list[Block] = [_counts(cells)] if several else []
    blocks += [] if study.lengths is None else [_lengths(study.lengths)]
    blocks += [_means(cells)] if several else []
    return replace(told, blocks=(*blocks, *told.blocks))


def doubts(study: Study) -> Section:
    """Noise, near repeats and languages, as `bezoar explore` shows them."""
    seen = study.doubts
    if seen is None:
        none = Text("This run did not look for noise and repeats.", "muted")
        return Section("doubtful", "Noise, repeats, languages", "", (none,))
    told = doubtful(seen.noise, seen.repeats, seen.languages, "explore/dropped.jsonl in the run")
    kept = Text(
        "Exact repeats are then left out. Families of near repeats stay: whole in the split, in "
        "every fold, and in every resample that an interval is of."
    )
    return replace(told, blocks=(*told.blocks, kept))


def cells_of(counts: Sequence[GroupCount]) -> tuple[Cell, ...]:
    """Texts by source and category, both labels together."""
    groups: dict[tuple[str, str], list[GroupCount]] = {}
    for group in counts:
        groups.setdefault((group.source, group.category), []).append(group)
    return tuple(
        Cell(
            source=source,
            category=category,
            n=(n := sum(group.n for group in mine)),
            mean_characters=sum(group.n * group.mean_characters for group in mine) / n,
            ones=sum(group.n for group in mine if group.label == 1),
        )
        for (source, category), mine in groups.items()
    )


def _counts(cells: Sequence[Cell]) -> Picture:
    caption = (
        "Texts by category and source, after noise and repeats were left out. Where a class comes "
        "from one source, a reader may learn the source."
    )
    return Picture(survey_counts(cells), caption, "Grouped bars of counts.", "survey_counts")


def _lengths(lengths: LengthDistribution) -> Picture:
    caption = (
        "How long the texts are: histogram, kernel estimate scaled to it, mean and box. Mean "
        f"{number(lengths.mean)}, median {number(lengths.median)} {lengths.unit}."
    )
    told = (
        f"A histogram of {count(lengths.n)} lengths, from {count(lengths.least)} to "
        f"{count(lengths.most)}."
    )
    return Picture(length_distribution(lengths), caption, told, "length_distribution")


def _means(cells: Sequence[Cell]) -> Picture:
    caption = (
        "Mean length of a text in characters by source and category. Where cells of the classes "
        "differ, length alone tells them apart."
    )
    return Picture(length_map(cells), caption, "A heat map of mean lengths.", "length_map")
