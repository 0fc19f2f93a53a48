"""The contest: latents against dense activations, and both against what needs no model."""

from __future__ import annotations

from bezoar.errors import NoFigure
from bezoar.evaluate.contest_results import FAMILIES, Contest, ContestRow
from bezoar.report.blocks import Block, Cell, Fold, Picture, Section, Table, Text, Tone
from bezoar.report.figures.contest import contest as picture
from bezoar.report.figures.contest import drawn
from bezoar.report.figures.contest_calibration import contest_calibration
from bezoar.report.figures.contest_differences import METRICS, WEAK, contest_differences
from bezoar.report.figures.contest_efficiency import contest_efficiency
from bezoar.report.figures.contest_layers import contest_layers
from bezoar.report.figures.contest_noise import contest_noise
from bezoar.report.figures.contest_sources import contest_sources
from bezoar.report.numbers import number, p_value, plural
from bezoar.report.sae.artefacts import Study
from bezoar.report.sae.verdict import minus
from bezoar.report.study.cells import count_cell, interval_cell, number_cell

COLUMNS = (
    "reader",
    "features",
    "AUROC",
    "AP",
    "TPR at 1 % FPR",
    "F1",
    "balanced accuracy",
    "calibration error",
    "penalty",
    "AUROC, cross-validated",
)


def contest(study: Study) -> Section:
    """Who won, by how much, how soon, and on which sources."""
    intro = (
        "Every reader has the same training texts, the same folds and its own path of penalties; "
        "each choice is made on training texts, and the number is of texts that nothing was chosen "
        "or fitted on. A reader of latents is judged by its difference from a dense probe, paired "
        "by text; a dictionary that was never trained (random directions, as many of them active) "
        "says what training is worth; a bag of words and the length, what needs no model at all. "
        "Texts that nearly repeat one another stay in one fold, and are drawn together where an "
        "interval is made."
    )
    found = study.contest
    blocks: list[Block] = [Text("This run held no contest.", "muted")]
    if found is not None:
        blocks = [Text(_told(found)), *_blocks(found, "")]
    return Section("the-contest", "Latents against dense probes", intro, tuple(blocks))


def harmless(study: Study) -> Section:
    """The same contest, harmful prompts against harmless ones, for each set of these."""
    intro = (
        "All texts of the corpus against texts that ask for nothing harmful, one set at a time. "
        "Such sets differ in style as well as in content: where a bag of words or the length does "
        "as well, the number says nothing of harm."
    )
    blocks: list[Block] = []
    for i, found in enumerate(study.harmless, start=1):
        key = f"_harmless_{i}"
        blocks += [Text(f"{found.task}. {_told(found)}"), _figure(found, key), _rows(found, key)]
        blocks.append(Fold(f"{found.task}: everything else.", tuple(_rest(found, key))))
    if not blocks:
        blocks = [Text("This run was given no harmless texts (contest.harmless).", "muted")]
    return Section("harmless", "Harmful against harmless", intro, tuple(blocks))


def _told(found: Contest) -> str:
    return (
        f"{minus(found.verdict)} Trained on {plural(found.train_n, 'text')} "
        f"({found.train_positives:,} with label 1; balance: {found.balance}), reported on "
        f"{found.report_n:,} ({found.report_positives:,}); {found.folds} folds; {found.grid}."
    )


def _blocks(found: Contest, key: str) -> list[Block]:
    tables = (_rows(found, key), *_all_rows(found, key))
    return [_figure(found, key), *_versus(found, key), *tables, *_layers(found), *_rest(found, key)]


def _figure(found: Contest, key: str) -> Picture:
    caption = (
        "AUROC of every kind of reader on held-out texts, with 95 % intervals. Of each kind the "
        "one that cross-validation prefers is drawn; filled and large is the best of its family by "
        "the same, which the verdict compares. Readers are named after what they read and how."
    )
    told = "Dots with intervals, a line a reader; the table has the same numbers."
    return Picture(picture(found), caption, told, f"contest{key}")


def _versus(found: Contest, key: str) -> list[Block]:
    if not any(one.metric == "auroc" and one.b not in WEAK for one in found.differences):
        return []
    caption = (
        "How much better the first reader is than the second, on the same texts: differences of "
        "AUROC with 95 % intervals of a bootstrap paired by text. On top is the contest itself, "
        "the only question that was asked in advance. Filled marks are settled (the interval holds "
        "no zero, and the p after Holm's correction is below .05)."
    )
    told = "Dots with intervals around a line at zero; the table below has the same numbers."
    name = f"contest_differences{key}"
    rows = tuple(
        (
            Cell(one.a, f"− {one.b}"),
            METRICS.get(one.metric, one.metric),
            interval_cell(one.interval, signed=True, tone="strong" if one.settled else ""),
            Cell(p_value(one.p), "", "", (one.p,)),
            Cell(p_value(one.holm_p), "", "", (one.holm_p,)),
        )
        for one in found.differences
    )
    columns = ("readers", "metric", "difference", "p", "p (Holm)")
    table = Table(
        "Every difference, paired by text. Holm's correction is over all differences of a metric.",
        columns, rows, folded=True, key=f"table_{name}",
    )  # fmt: skip
    return [Picture(contest_differences(found), caption, told, name), table]


def _rows(found: Contest, key: str) -> Table:
    ranked = sorted(drawn(found), key=lambda row: -row.auroc.value)
    caption = (
        "The best reader of each kind. Brackets are 95 % intervals: of "
        "AUROC after DeLong, of the rest by bootstrap over texts. F1 and balanced accuracy are at "
        "a threshold from held-out training texts. A calibration error is to be compared with the "
        "one below it, which the same reader would have if its probabilities were right."
    )
    rows = tuple(_row(row, found) for row in ranked)
    return Table(caption, COLUMNS, rows, key=f"table_contest_best{key}")


def _all_rows(found: Contest, key: str) -> list[Table]:
    """Every reader, also those that cross-validation did not prefer; a file has them too."""
    ranked = sorted(found.rows, key=lambda row: (FAMILIES[row.family], row.site, row.label))
    rows = tuple(_row(row, found) for row in ranked)
    caption = f"All {len(rows)} readers, in the same columns."
    return [Table(caption, COLUMNS, rows, folded=True, key=f"table_contest{key}")]


def _layers(found: Contest) -> list[Block]:
    try:
        figure = contest_layers(found)
    except NoFigure:
        return []
    caption = (
        "AUROC by layer of readers of all latents or dimensions, and of mean differences, with "
        "95 % intervals. The contest takes the best of each family by cross-validation on training "
        "texts, which need not be the highest point here."
    )
    told = "Lines by layer, coloured by family; the table of all readers has the same numbers."
    return [Picture(figure, caption, told, "contest_layers")]


def _row(row: ContestRow, found: Contest) -> tuple[Cell | str, ...]:
    best = found.best(row.family)
    tone: Tone = "strong" if best is not None and best.label == row.label else ""
    error = row.calibration_error
    return (
        Cell(row.label, FAMILIES[row.family], "" if row.chosen else "muted"),
        count_cell(row.n_features),
        interval_cell(row.auroc, tone=tone),
        interval_cell(row.average_precision),
        interval_cell(row.tpr_at_1),
        interval_cell(row.f1),
        interval_cell(row.balanced_accuracy),
        Cell(
            number(error.value), f"{number(row.calibrated)} if right", "",
            (error.value, error.low, error.high),
        ),
        number_cell(row.penalty),
        number_cell(row.cv_auroc),
    )  # fmt: skip


def _rest(found: Contest, key: str) -> list[Block]:
    blocks: list[Block] = []
    if found.efficiency:
        caption = (
            "How many labels it takes: mean AUROC on the same texts after training on fewer. Bars "
            "span the draws of so many labels."
        )
        told = "Lines, one a reader, rising with the number of labels."
        name = f"contest_efficiency{key}"
        blocks.append(Picture(contest_efficiency(found), caption, told, name))
    if found.noise:
        caption = "Mean AUROC on right labels after a share of the training labels was flipped."
        told = "Lines, one a reader, falling with the share of wrong labels."
        name = f"contest_noise{key}"
        blocks.append(Picture(contest_noise(found), caption, told, name))
    if any(row.auroc is not None for row in found.leave_one_out):
        caption = (
            "Whether the source was learnt: AUROC within each source, of readers that were trained "
            "on all sources (filled) and on all but this one (hollow), which then had no part in "
            "the choice of a penalty or of few features either. What is lost between them is what "
            "they knew from this source, but not all of it: the autoencoder was trained on texts "
            "of all sources, without their labels, and which layer and pooling is read was chosen "
            "with them."
        )
        told = "Pairs of dots with intervals, grouped by source."
        name = f"contest_sources{key}"
        blocks.append(Picture(contest_sources(found), caption, told, name))
    if found.rows:
        caption = (
            "Calibration: the expected error of the probabilities, with 95 % intervals. The tick "
            "is what chance alone would leave of it if every probability were right."
        )
        told = "Dots with intervals and a tick each; the table above has the same numbers."
        name = f"contest_calibration{key}"
        blocks.append(Picture(contest_calibration(found), caption, told, name))
    return blocks
