"""Section 5: the shift of the residual stream, where it comes from, who makes it."""

from __future__ import annotations

from bezoar.compare.models import ResidualShift, ShiftSources
from bezoar.compare.models.verdicts import verdict as said
from bezoar.report.blocks import Block, Cell, Fold, Picture, Section, Table, Text
from bezoar.report.dpo.artefacts import Study
from bezoar.report.dpo.missing import missing
from bezoar.report.dpo.paper import NAME, PAPER, SECTIONS
from bezoar.report.figures.figure_4_residual_shift import SHOWN, figure_4_residual_shift
from bezoar.report.figures.figure_5_shift_sources import figure_5_shift_sources
from bezoar.report.numbers import count, number, percent, plural
from bezoar.report.study.cells import interval_cell, number_cell, share_cell

SOURCES = (5, 7, 8, 9, 10)
"""Which figure of the paper each of the results is, in order."""
_FIGURE_3 = (
    f"Figure 3 of {NAME} is a drawing and holds no data: the stream, shifted by δ, passes by the "
    "regions in which keys trigger toxic value vectors. What it claims is measured in Figures 4 "
    "to 6 (the shift) and, as the margin between keys and the shifted stream, under “Undoing it”."
)


def shift(study: Study) -> Section:
    """Figures 3 to 10."""
    intro = (
        f"{NAME} explain the effect by an offset: every state of the residual stream moves the "
        "same way, out of the regions that trigger toxic vectors, and the offset is the sum of "
        "many small changes of value vectors whose neurons are mostly below zero."
    )
    blocks: list[Block] = [Text(_FIGURE_3)]
    if study.shifts is not None and study.shifts.shifts:
        blocks += [
            Text(f"{said(study.shifts)} Measured on {plural(study.compared, 'prompt')}."),
            *_shifts(study.shifts.shifts),
        ]
    else:
        blocks.append(
            missing(study, "shifts", "No states were compared: there are no Figures 4 and 6.")
        )
    if study.sources is not None and study.sources.sources:
        blocks += [Text(said(study.sources)), *_sources(study.sources.sources)]
    else:
        blocks.append(
            missing(study, "sources", "No sources were looked for: there are no Figures 5 to 10.")
        )
    title = f"The shift, and where it comes from ({SECTIONS['mechanism']})"
    return Section("shift", title, intro, tuple(blocks))


def _shifts(found: tuple[ResidualShift, ...]) -> list[Block]:
    first, *others = found
    blocks: list[Block] = [_shift(4, "residual_shift", first), _shift_table(found)]
    if others:
        pictures = tuple(
            _shift(6, f"residual_shift_{i}" if i else "residual_shift", each)
            for i, each in enumerate(others)
        )
        blocks += pictures[:1]
        if pictures[1:]:
            blocks.append(Fold("Figure 6, the other neurons.", pictures[1:]))
    return blocks


def _shift(n: int, name: str, found: ResidualShift) -> Picture:
    neuron = f"neuron {found.neuron}" if found.neuron else "no neuron"
    ours = (
        f"States at {found.site}, at the last token of {SHOWN} prompts; "
        f"circles before, triangles after; colour: the coefficient of {neuron}. Here that "
        "is the true coefficient, behind the norm and with the bias (the paper's colours leave "
        "both out), and the first axis is normalised."
    )
    told = f"{percent(found.consistency, digits=0)} of the prompts move along the shift"
    return PAPER.figure(
        n,
        name,
        figure_4_residual_shift(found),
        ours,
        f"Pairs of states; {told}.",
        also=f"{found.site}",
    )


def _shift_table(found: tuple[ResidualShift, ...]) -> Table:
    rows = tuple(
        (
            Cell(each.site, f"neuron {each.neuron}" if each.neuron else ""),
            Cell(number(each.norm), f"{percent(each.relative)} of a state", "", (each.norm,)),
            share_cell(each.consistency),
            interval_cell(each.cosine),
            number_cell(each.axis_cosine),
            interval_cell(each.base_coefficient, signed=True),
            interval_cell(each.edited_coefficient, signed=True),
        )
        for each in found
    )
    caption = (
        "The shifts in numbers. A prompt counts as moving along δ if its own shift has a positive "
        "cosine to the mean of the others'; the mean of those cosines, and that of δ to the first "
        "principal component, are beside it. Coefficients are the neuron's, over all prompts."
    )
    columns = (
        "state",
        "norm of δ",
        "prompts along δ",
        "cosine to δ",
        "|cosine|, PC1",
        "coefficient before",
        "after",
    )
    return Table(caption, columns, rows, key="figure_4_numbers")


def _sources(found: tuple[ShiftSources, ...]) -> list[Block]:
    numbered = list(zip(SOURCES, found, strict=False))
    pictures = tuple(_source(n, each) for n, each in numbered)
    blocks: list[Block] = [pictures[0], _source_table(found[0])]
    if pictures[1:]:
        last = numbered[-1][0]
        which = "Figure 7" if last == SOURCES[1] else f"Figures 7 to {last}"
        blocks.append(Fold(f"{which}: the same for shifts of other layers.", pictures[1:]))
    return blocks


def _source(n: int, found: ShiftSources) -> Picture:
    return PAPER.figure(
        n,
        "shift_sources",
        figure_5_shift_sources(found),
        f"Left: cosines of each value vector's own shift to δ of {found.site}; right: the neurons' "
        f"mean coefficients in the trained model, over {plural(found.prompts_n, 'prompt')} and "
        f"{count(found.positions_n)} positions. Bars are proportions; the neurons furthest above "
        "zero, about a tenth of all at most, are one last bar, “more”. Where coefficients are "
        "below zero and cosines are too, a moved value vector writes along δ. Padding is left out "
        "here (the paper's means include it).",
        f"Pairs of histograms for {plural(len(found.layers), 'layer')}.",
        also=found.site,
    )


def _source_table(found: ShiftSources) -> Table:
    rows = tuple(
        (
            str(layer.layer),
            count(layer.moved),
            number_cell(layer.mean_cosine, signed=True),
            share_cell(layer.opposing),
            number_cell(layer.mean_activation, signed=True),
            share_cell(layer.negative),
            number_cell(layer.along, signed=True),
        )
        for layer in found.layers
    )
    caption = (
        f"Figure 5 in numbers. Along δ: Σ of mean coefficient × the part of the value vector's "
        f"shift along δ of {found.site}, whose norm is {number(found.norm)}."
    )
    columns = (
        "layer",
        "value vectors that moved",
        "mean cosine",
        "opposing",
        "mean coefficient",
        "below zero",
        "adds along δ",
    )
    return Table(caption, columns, rows, key="figure_5_numbers")
