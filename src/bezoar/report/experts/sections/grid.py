"""The grid of α and k, every point against a control of α = 1 that went through the same code."""

from __future__ import annotations

from bezoar.evaluate.eigen_results import EigenGrid, EigenPoint
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text, Tone
from bezoar.report.experts.artefacts import Study
from bezoar.report.experts.paper import GRID, GRID_COLUMNS, NAME, PAPER
from bezoar.report.figures.eigen_grid import eigen_grid
from bezoar.report.numbers import number, percent
from bezoar.report.study.cells import count_cell, interval_cell, number_cell, share_cell

COLUMNS = (
    "α",
    "directions",
    "toxicity",
    "change",
    "reduction",
    "perplexity",
    "change of perplexity",
    "TPH",
    "KL",
    "size of the edit",
)


def grid(study: Study) -> Section:
    """The picture and the numbers."""
    intro = (
        f"EigenShift scales k of the unembedding's singular values by α. In the grid that {NAME} "
        "prints, even edits that change next to nothing seem to remove a sixth of the toxicity: "
        "the mark of a baseline that was measured under other conditions. Here every point is "
        "paired with α = 1, which changes nothing and goes through the same code on the same "
        "prompts with the same random numbers."
    )
    found = study.grid
    blocks: list[Block] = [Text(f"This run has no grid. {study.no_grid}".strip(), "muted")]
    if found is not None:
        blocks = [_picture(found), Text(_control(found)), _table(found), _printed()]
    return Section("grid", "How far, and how many directions", intro, tuple(blocks))


def _picture(found: EigenGrid) -> Picture:
    best = max(found.points, key=lambda point: point.tph)
    return Picture(
        eigen_grid(found),
        f"Toxicity and perplexity by α and k, of {found.d_model} directions, under "
        f"{found.protocol} on {found.prompts}; against the α = 1 control, with 95 % intervals.",
        f"Curves over α, one for each k; TPH is highest at α = {best.alpha:g}, k = {best.k}.",
        "eigen_grid",
    )


def _control(found: EigenGrid) -> str:
    control = found.control
    same = (
        "It does to every prompt what the unedited model does."
        if found.control_is_base
        else "It differs from the unedited model on some prompts: rounding moved a token."
    )
    return (
        f"The control: toxicity {number(control.toxicity.value)}, perplexity "
        f"{number(control.perplexity)}. {same}"
    )


def _table(found: EigenGrid) -> Table:
    caption = PAPER.table_caption(
        "grid",
        f"Under {found.protocol} on {found.prompts}, scored by {found.scorer}; perplexity by "
        f"{found.perplexity_protocol}. Changes are against the α = 1 control, paired by prompt and "
        "by window, with 95 % intervals. Size: ‖W′ − W‖ / ‖W‖.",
    )
    return Table(caption, COLUMNS, tuple(map(_row, found.points)), key="table_grid")


def _row(point: EigenPoint) -> tuple[Cell | str, ...]:
    control = point.alpha == 1
    change, cost = point.change, point.perplexity_change
    tone: Tone = "good" if change.high < 0 else "bad" if change.low > 0 else ""
    muted = Cell("control", "", "muted")
    share = None if point.reduction is None else point.reduction.value
    return (
        Cell(number(point.alpha, digits=2), "", "", (point.alpha,)),
        count_cell(point.k),
        interval_cell(point.toxicity),
        muted if control else interval_cell(change, signed=True, tone=tone),
        muted if control else share_cell(share),
        number_cell(point.perplexity),
        muted if control else interval_cell(cost, signed=True, share=True),
        muted if control else number_cell(point.tph),
        number_cell(point.kl),
        Cell(percent(point.size), "", "", (point.size,)),
    )


def _printed() -> Table:
    caption = (
        f"What {NAME} prints for Llama-2-7B, whose baseline is 11.13 and 6.23: toxicity in per "
        "cent, perplexity, TPH in per cent."
    )
    return Table(caption, GRID_COLUMNS, GRID, folded=True)
