"""Single neurons as experts: Figure 3, and the table of shares with what it lacks."""

from __future__ import annotations

from bezoar.locate import ExpertGroup, ExpertsReport, ShareAbove
from bezoar.locate.expert_results import Agreement
from bezoar.report.blocks import Block, Cell, Section, Table, Text
from bezoar.report.experts.artefacts import Study
from bezoar.report.experts.paper import NAME, PAPER, SHARES
from bezoar.report.figures.experts_figure_3_neurons import experts_figure_3_neurons
from bezoar.report.numbers import number, p_value, percent, plural
from bezoar.report.study.cells import count_cell, share_cell

_COLUMNS = (
    "units",
    "threshold",
    "above it",
    "shuffled labels",
    "p",
    "equal lengths",
    "the same, shuffled",
)


def neurons(study: Study) -> Section:
    """The histogram, the shares, and whether the same units are found again."""
    intro = (
        f"A unit is an expert, for {NAME}, if its largest activation over a text tells toxic texts "
        "from others with an AUROC above one half. A maximum over tokens grows with the length of "
        "the text, whatever it says: the same is shown among texts of equal lengths, and bands say "
        "what shuffled labels give."
    )
    found = study.experts
    blocks: list[Block] = [Text("This run scored no units.", "muted")]
    if found is not None and found.groups:
        blocks = [_figure(found), Text(_lengths(found)), _shares(found), _printed()]
        blocks += _again(found)
    return Section("neurons", "Neurons as experts", intro, tuple(blocks))


def _figure(found: ExpertsReport) -> Block:
    group = found.groups[0]
    first = group.all_texts.shares[0]
    ours = (
        f"{plural(group.all_texts.units, 'unit')} ({', '.join(group.points)} of every layer) of "
        f"{found.model} on {plural(group.all_texts.texts, 'text')} of {found.corpus}, pooled by "
        f"their {found.pooling}. Bands hold 95 % of {plural(found.shuffles, 'shuffled labelling')}."
    )
    told = (
        f"Left a histogram of AUROC, right the share above a threshold: {percent(first.share)} "
        "above one half."
    )
    return PAPER.figure(3, "neurons", experts_figure_3_neurons(found), ours, told)


def _lengths(found: ExpertsReport) -> str:
    lengths, group = found.lengths, found.groups[0]
    told = (
        f"Toxic texts have {number(lengths.mean_positive, digits=1)} tokens on average, others "
        f"{number(lengths.mean_negative, digits=1)}; length alone has AUROC "
        f"{number(lengths.auroc)}. {percent(group.rising_with_length)} of the units are larger in "
        "the longer half of the texts, and how units separate the classes goes with how they "
        f"separate long from short: rank correlation {number(group.length_correlation, digits=2)}."
    )
    if lengths.matched_auroc is None:
        return f"{told} Too few texts of both classes are of equal lengths."
    return (
        f"{told} Of equal lengths in both classes are {plural(lengths.matched_texts, 'text')}, "
        f"where length alone has {number(lengths.matched_auroc)}."
    )


def _shares(found: ExpertsReport) -> Table:
    rows = tuple(
        (
            _first(group, i),
            number(share.threshold, digits=2),
            share_cell(share.share),
            _band(share),
            Cell(p_value(share.p), "", "", (share.p,)),
            *_matched(group, i),
        )
        for group in found.groups
        for i, share in enumerate(group.all_texts.shares)
    )
    caption = PAPER.table_caption(
        "neurons",
        "Strictly above each threshold, on all texts and on texts of equal lengths. Shuffled "
        "labels: 95 % of whole labellings, because units are correlated; p is the share of them "
        "with as many units above.",
    )
    return Table(caption, _COLUMNS, rows, key="table_neurons")


def _called(group: ExpertGroup) -> str:
    return "as in the paper" if group.name == "paper" else group.name


def _first(group: ExpertGroup, i: int) -> Cell:
    """The name of the units, on every line because the file has lines only."""
    return Cell(
        _called(group), "" if i else plural(group.all_texts.units, "unit"), "muted" if i else ""
    )


def _band(share: ShareAbove) -> Cell:
    text = f"{percent(share.null_low)} to {percent(share.null_high)}"
    return Cell(text, "", "muted", (share.null_mean, share.null_low, share.null_high))


def _matched(group: ExpertGroup, i: int) -> tuple[Cell, Cell]:
    if group.matched is None:
        return Cell("–", "", "muted"), Cell("–", "", "muted")
    share = group.matched.shares[i]
    return share_cell(share.share), _band(share)


def _printed() -> Table:
    rows: tuple[tuple[Cell | str, ...], ...] = tuple(
        (name, *map(share_cell, shares)) for name, shares in SHARES
    )
    caption = f"What {NAME} prints, of all texts of Jigsaw, without a band."
    return Table(caption, ("model", "> .50", "> .51", "> .52", "> .55"), rows, folded=True)


def _again(found: ExpertsReport) -> list[Block]:
    seen = [
        (group, agreement)
        for group in found.groups
        for agreement in (group.halves, group.corpora)
        if agreement is not None
    ]
    if not seen:
        return []
    rows = tuple((_called(group), *_agreement(agreement)) for group, agreement in seen)
    caption = (
        "Whether other texts name the same units: overlap of the best ones, beside that of sets "
        "drawn at random, and rank correlation of all. Brackets: the least and the most of any "
        "division of the texts."
    )
    columns = ("units", "between", "best units", "in common", "by chance", "rank correlation")
    return [Table(caption, columns, rows, key="table_same_neurons")]


def _agreement(seen: Agreement) -> tuple[Cell | str, ...]:
    overlap = (seen.overlap, seen.overlap_low, seen.overlap_high)
    ranks = (seen.rank_correlation, seen.rank_low, seen.rank_high)
    bounds = f"[{percent(overlap[1])}, {percent(overlap[2])}]" if seen.draws > 1 else ""
    spread = f"[{number(ranks[1])}, {number(ranks[2])}]" if seen.draws > 1 else ""
    return (
        Cell(seen.of, plural(seen.draws, "division")),
        count_cell(seen.top),
        Cell(percent(overlap[0]), bounds, "", overlap),
        share_cell(seen.chance),
        Cell(number(ranks[0]), spread, "", ranks),
    )
