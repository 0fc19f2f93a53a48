"""2. The data: what the labelled texts are, and what would separate them without understanding."""

from __future__ import annotations

from bezoar.corpus import Exploration
from bezoar.corpus.explore import WordOdds
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text, TokenRows
from bezoar.report.figures.class_counts import class_counts
from bezoar.report.figures.text_lengths import text_lengths
from bezoar.report.numbers import count, estimate, number, percent, plural

WORDS = 16


def data(run: Artefacts) -> Section:
    """Counts, lengths, words, shortcuts and warnings."""
    intro = (
        "The labelled texts are the only definition of the behaviour. What separates their classes "
        "without understanding (length, source, single words) a probe may learn instead."
    )
    blocks: list[Block] = (
        _blocks(run.exploration)
        if run.exploration is not None
        else [Text("This run did not look at its texts.", "muted")]
    )
    return Section("data", "The data", intro, tuple(blocks))


def _blocks(seen: Exploration) -> list[Block]:
    summary = (
        f"{seen.name}: {plural(seen.n, 'text')} kept, {percent(seen.positive_share)} of them with "
        f"label 1; {_left_out(seen)}. "
        f"{count(seen.near_repeats.across_labels)} nearly repeat a text of the other label."
    )
    notes = [Text(f"As they were read: {'; '.join(seen.notes)}.", "muted")] if seen.notes else []
    warnings = [Text(f"Mind: {warning}", "bad") for warning in seen.warnings]
    return [
        Text(summary),
        *notes,
        *warnings,
        *label_blocks(seen),
    ]


def label_blocks(seen: Exploration) -> list[Block]:
    """How the classes differ: sizes, lengths, cues, words, examples."""
    last = seen.lengths[-1]
    return [
        Picture(
            class_counts(seen),
            "Texts by source (or category) and class, after cleaning.",
            f"Stacked bars of {plural(len(seen.counts), 'group')} of texts.",
        ),
        Picture(
            text_lengths(seen),
            "How long the texts of each class are. Two curves that lie apart are a shortcut.",
            f"Two histograms of length in {last.unit}; the medians are {number(last.median[0])} "
            f"for label 0 and {number(last.median[1])} for label 1.",
        ),
        _shortcuts(seen),
        _lengths(seen),
        _words(seen),
        _examples(seen),
    ]


def _left_out(seen: Exploration) -> str:
    """How many texts were left out on the way, by reading, limits and cleaning, and why."""
    cleaned = {reason: len(rows) for reason, rows in seen.cleaning.dropped.items()}
    reasons = {reason: n for reason, n in (seen.left_out or cleaned).items() if n}
    if not reasons:
        return "none was left out"
    why = [f"{count(n)} {reason}" for reason, n in reasons.items()]
    told = ", ".join(why if len(why) > 1 else reasons)
    return f"{count(sum(reasons.values()))} left out ({told})"


def _shortcuts(seen: Exploration) -> Table:
    rows = tuple(
        (s.cue, Cell(estimate(s.auroc), "", "bad" if s.warning else "")) for s in seen.shortcuts
    )
    caption = "How well one cheap cue alone tells the classes apart, held out; 0.5 is chance."
    return Table(caption, ("cue", "AUROC"), rows)


def _lengths(seen: Exploration) -> Table:
    rows = tuple(
        (
            f"{lengths.unit}, label {label}",
            number(lengths.mean[label]),
            number(lengths.sd[label]),
            count(lengths.smallest[label]),
            number(lengths.median[label]),
            count(lengths.largest[label]),
        )
        for lengths in seen.lengths
        for label in (0, 1)
    )
    columns = ("length in", "mean", "standard deviation", "least", "median", "most")
    return Table("Lengths of the texts, in numbers.", columns, rows, folded=True)


def _words(seen: Exploration) -> TokenRows:
    vocabulary = seen.vocabulary
    shared = f"the classes share {percent(vocabulary.jaccard)} of {count(_types(seen))} words"
    return TokenRows(
        "Words that mark the classes most (log odds, by z).",
        (("words", shared, _shown(vocabulary.marks[1]), _shown(vocabulary.marks[0])),),
        ends=("label 1", "label 0"),
    )


def _examples(seen: Exploration) -> Table:
    rows = tuple((e.source or seen.name, str(e.label), e.text.strip()) for e in seen.examples)
    caption = "A few texts of each source and class, drawn by hash and cut to 300 characters."
    return Table(caption, ("source", "label", "text"), rows, numeric=False, folded=True)


def _types(seen: Exploration) -> int:
    zero, one = seen.vocabulary.types
    return zero + one - seen.vocabulary.shared


def _shown(words: tuple[WordOdds, ...]) -> tuple[str, ...]:
    return tuple(word.word for word in words[:WORDS])
