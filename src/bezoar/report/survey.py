"""What ``survey`` saw as a page, its pictures and tables as files, and a list of what is noise."""

from __future__ import annotations

from pathlib import Path

from bezoar.activations.forecast import size
from bezoar.corpus import Corpus, Unlabelled
from bezoar.corpus.explore_cost import Cost
from bezoar.corpus.explore_lengths import LengthDistribution
from bezoar.corpus.explore_noise import save_dropped
from bezoar.corpus.explore_survey import Survey
from bezoar.errors import RunConflict
from bezoar.report.blocks import Block, Cell, Facts, Picture, Section, Table, Text, Tile, Verdict
from bezoar.report.figures.length_distribution import length_distribution
from bezoar.report.figures.length_map import length_map
from bezoar.report.figures.survey_counts import survey_counts
from bezoar.report.numbers import count, estimate, number, percent, plural
from bezoar.report.render import render
from bezoar.report.sections.data import label_blocks
from bezoar.report.sections.doubtful import doubtful
from bezoar.report.study.export import export
from bezoar.runs.folder import CONFIG
from bezoar.runs.progress import duration
from bezoar.runs.results import atomic_write, save_result

PAGE, RESULT, DROPPED = "explore.html", "exploration.json", "dropped.jsonl"


def write_survey(
    folder: Path, survey: Survey, texts: Corpus | Unlabelled, *, unmask: bool = False
) -> Path:
    """Write ``explore.html``, ``exploration.json``, ``dropped.jsonl``, ``figures``, ``tables``.

    Figures are HTML that works offline, and plotly JSON. ``dropped.jsonl`` lists the texts that the
    noise filter leaves out as they are; all else is masked.

    Args:
        folder: made if it is missing; files of these names are replaced.
        survey: of ``texts``.
        texts: as they were read.
        unmask: let the reader reveal the texts as they are.

    Returns:
        The page.

    Raises:
        RunConflict: if the folder is of a run.
    """
    if (folder / CONFIG).exists():
        raise RunConflict(
            f"{folder} is the folder of a run.", hint="Give another --out for what is explored."
        )
    sections = [_counted(survey), _lengths(survey), _doubtful(survey)]
    if survey.labelled is not None:
        sections.append(_labels(survey))
    if survey.cost is not None:
        sections.append(_cost(survey.cost))
    html = render(
        title=f"The texts of {survey.name}",
        subtitle=survey.spec,
        verdict=_verdict(survey),
        sections=sections,
        unmask=unmask,
        brand="bezoar explore",
    )
    folder.mkdir(parents=True, exist_ok=True)
    export(folder, sections, unmask=unmask)
    save_dropped(folder / DROPPED, texts, survey.noise)
    save_result(folder / RESULT, survey)
    atomic_write(folder / PAGE, html.encode())
    return folder / PAGE


def _verdict(seen: Survey) -> Verdict:
    left = ", ".join(f"{count(n)} {reason}" for reason, n in seen.left_out.items())
    read = f"{plural(seen.rows, 'row')} read" + (f"; left out: {left}." if left else ".")
    warned = seen.warnings or ("Nothing here stands in the way of a fair measurement.",)
    ones = "none" if seen.ones is None else percent(seen.ones / seen.n)
    noisy = seen.noise.rows_in - seen.noise.rows_out
    repeated = seen.repeats.exact + seen.repeats.near
    tiles = (
        Tile("texts", count(seen.n), plural(len({c.source for c in seen.cells}), "source")),
        Tile("label 1", ones, "of the texts" if seen.ones is not None else "labels were found"),
        Tile("noise", count(noisy), "texts that the filter leaves out"),
        Tile("repeats", count(repeated), "texts that are there again"),
    )
    return Verdict((read, *warned), tiles, "bad" if seen.warnings else "")


def _counted(seen: Survey) -> Section:
    blocks: list[Block] = [
        Picture(
            survey_counts(seen),
            "Texts by source and category, as they were read.",
            f"Grouped bars of {plural(len(seen.cells), 'pair')} of source and category.",
            key="figure_1_counts",
        ),
        _cell_table(seen),
    ]
    if seen.notes:
        blocks.append(Text(f"As they were read: {'; '.join(seen.notes)}.", "muted"))
    return Section(
        "counts", "What there is", "Nothing is left out here but empty texts.", (*blocks,)
    )


def _cell_table(seen: Survey) -> Table:
    labels = seen.ones is not None
    rows = tuple(
        (
            cell.source or "not named",
            Cell(cell.category or "not named"),
            Cell(count(cell.n), numbers=(float(cell.n),)),
            *((Cell(count(cell.ones), numbers=(float(cell.ones or 0),)),) if labels else ()),
            Cell(number(cell.mean_characters), numbers=(cell.mean_characters,)),
        )
        for cell in seen.cells
    )
    columns = ("source", "category", "texts", *(["label 1"] if labels else []), "characters, mean")
    caption = "The same in numbers."
    return Table(caption, columns, rows, folded=len(rows) > 24, key="table_1_counts")


def _lengths(seen: Survey) -> Section:
    blocks: list[Block] = [
        _length_picture(lengths, number_)
        for number_, lengths in enumerate(filter(None, (seen.characters, seen.tokens)), start=2)
    ]
    blocks.append(
        Picture(
            length_map(seen),
            "Mean characters of a text by source and category.",
            "A heat map of mean lengths; the table above has the same numbers.",
            key=f"figure_{2 + len(blocks)}_mean_length",
        )
    )
    intro = (
        "A classifier that only counts characters does as well as these differ between what it "
        "shall tell apart."
    )
    return Section("lengths", "How long they are", intro, tuple(blocks))


def _length_picture(lengths: LengthDistribution, place: int) -> Picture:
    return Picture(
        length_distribution(lengths),
        f"Lengths in {lengths.unit}: histogram, Gaussian kernel estimate (scaled to its height), "
        "mean (dashed), and a box of the quartiles with whiskers of 1.5 times their distance.",
        f"A histogram; mean {number(lengths.mean)}, median {number(lengths.median)}, standard "
        f"deviation {number(lengths.sd)}, from {count(lengths.least)} to {count(lengths.most)}.",
        key=f"figure_{place}_length_in_{lengths.unit}",
    )


def _doubtful(seen: Survey) -> Section:
    keys = ("table_2_noise", "table_3_languages")
    return doubtful(seen.noise, seen.repeats, seen.languages, f"{DROPPED} beside this page", keys)


def _labels(seen: Survey) -> Section:
    labelled = seen.labelled
    if labelled is None:
        return Section("labels", "The labels", "", ())
    intro = (
        f"Of {plural(labelled.n, 'text')}, without noise and repeats. What tells the labels apart "
        "without understanding (length, source, single words) a probe may learn instead."
    )
    best = max(labelled.shortcuts, key=lambda shortcut: shortcut.auroc.value)
    said = Text(f"The strongest cue is the {best.cue}: AUROC {estimate(best.auroc)}.")
    blocks: list[Block] = [said, *label_blocks(labelled)]
    if seen.balance:
        blocks.insert(1, _balance(seen))
    return Section("labels", "The labels", intro, tuple(blocks))


def _balance(seen: Survey) -> Table:
    rows = tuple(
        (
            balance.source or "not named",
            Cell(count(balance.n), numbers=(float(balance.n),)),
            Cell(percent(balance.ones / balance.n), numbers=(balance.ones / balance.n,)),
            Cell(
                estimate(balance.length),
                numbers=()
                if balance.length is None
                else (balance.length.value, balance.length.low, balance.length.high),
            ),
        )
        for balance in seen.balance
    )
    caption = "The classes within each source, and how well length alone tells them apart there."
    columns = ("source", "texts", "label 1", "AUROC of length")
    return Table(caption, columns, rows, folded=len(rows) > 24, key="table_5_balance")


def _cost(cost: Cost) -> Section:
    rows = tuple(
        (
            reading.what,
            Cell(count(reading.rows)),
            Cell(size(reading.bytes)),
            Cell(duration(reading.seconds)),
        )
        for reading in cost.readings
    )
    table = Table(
        f"Reading {count(cost.tokens)} tokens with {cost.model} on {cost.device}.",
        ("reading", "rows", "on disk", "time"),
        rows,
        key="table_4_cost",
    )
    facts = Facts(
        (
            ("parameters", count(cost.parameters)),
            ("context", plural(cost.context, "token")),
            ("texts cut at it", count(cost.truncated)),
            ("memory, as usual", size(cost.memory)),
            ("least RAM, on a CPU", size(cost.least_ram)),
            ("least VRAM, 16 bits", size(cost.least_vram)),
        )
    )
    intro = (
        "Rows and bytes are counted; time is that of a small batch, carried over to all; memory is "
        "an estimate, the least of it for one text at a time."
    )
    return Section("cost", "What reading them takes", intro, (table, facts))
