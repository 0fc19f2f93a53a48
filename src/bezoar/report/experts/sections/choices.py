"""Which directions: correct, as printed, as programmed, at random, and none in particular."""

from __future__ import annotations

from statistics import fmean

from bezoar.evaluate.eigen_results import EigenChoice, EigenChoices, EigenPoint, EigenSpectrum
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text, Tone
from bezoar.report.experts.artefacts import Study
from bezoar.report.figures.eigen_choices import eigen_choices
from bezoar.report.figures.eigen_spectrum import eigen_spectrum
from bezoar.report.numbers import estimate, number, p_value, percent, plural
from bezoar.report.study.cells import interval_cell, number_cell, share_cell

COLUMNS = (
    "choice",
    "toxicity",
    "change",
    "reduction",
    "change of perplexity",
    "size of the edit",
    "beyond random",
    "random as good",
    "p",
    "overlap with correct",
)


def choices(study: Study) -> Section:
    """The picture, the numbers, and the spectrum that is chosen from."""
    intro = (
        "The paper chooses directions by signed projections, although a singular vector has no "
        "sign; its published program projects with the transposed matrix, so that its scores are "
        "not of the directions that it scales. The same number of directions, scaled by the same "
        "α, is held against each other here, against random choices of as many, and against what "
        "knows of no directions: a shrink of the whole unembedding by the same Frobenius norm, and "
        "the plain projection of the difference of the means."
    )
    found, told = study.choices, study.spectrum
    blocks: list[Block] = [Text(f"This run compared no choices. {study.no_grid}".strip(), "muted")]
    if found is not None:
        blocks = [_picture(found), _table(found)]
    if study.at_cost is not None:
        blocks += [
            Text(
                "Random directions cost more or less than chosen ones do. So each way to choose is "
                "also scaled until it costs the same on other text: less toxicity at one cost is "
                "what a choice has to show."
            ),
            _picture(study.at_cost, "_at_cost"),
            _table(study.at_cost, "_at_cost"),
        ]
    if told is not None:
        blocks.append(_spectrum(told))
    return Section("choices", "Which directions", intro, tuple(blocks))


def _equal(found: EigenChoices) -> str:
    """What all choices have in common."""
    if found.alpha is not None:
        return f"at α = {found.alpha:g}"
    return f"each as strong as costs {percent(found.cost, signed=True)} perplexity on other text"


def _picture(found: EigenChoices, ending: str = "") -> Picture:
    first = found.choices[0]
    return Picture(
        eigen_choices(found),
        f"Toxicity of each choice of {found.k} of {found.d_model} directions, {_equal(found)}, "
        f"beside {plural(len(found.draws), 'random choice')}; "
        f"{found.protocol} on {found.prompts}, 95 % intervals against the α = 1 control.",
        f"Dots with intervals. {first.point.name}: {estimate(first.point.toxicity)}; "
        f"{percent(first.as_good, digits=0)} of the random choices lower it as much.",
        f"eigen_choices{ending}",
    )


def _table(found: EigenChoices, ending: str = "") -> Table:
    rows = [_row(each, own=found.alpha is None) for each in found.choices]
    if found.draws:
        rows.append(_random(found.draws))
    caption = (
        f"Choices of {found.k} of {found.d_model} directions, {_equal(found)}, under "
        f"{found.protocol} on {found.prompts}, scored by {found.scorer}. Changes are against the "
        "α = 1 control. Beyond random: toxicity less the mean of the random choices, over prompts "
        "and draws. p is of the rank among the random choices. Brackets are 95 % intervals."
    )
    return Table(caption, COLUMNS, tuple(rows), key=f"table_choices{ending}")


def _row(each: EigenChoice, *, own: bool) -> tuple[Cell | str, ...]:
    point, beyond = each.point, each.beyond_random
    tone: Tone = "good" if beyond.high < 0 and each.p <= 0.05 else ""
    return (
        *_measured(point, own=own),
        interval_cell(beyond, signed=True, tone="bad" if beyond.low > 0 else tone),
        share_cell(each.as_good),
        Cell(p_value(each.p), "", tone, (each.p,)),
        share_cell(each.overlap),
    )


def _measured(point: EigenPoint, *, own: bool) -> tuple[Cell | str, ...]:
    """The first columns; a strength of its own is said."""
    strength = f"{'α' if point.k else 'factor'} {number(point.alpha)}"
    note = "" if point.k and not own else strength
    return (
        Cell(point.name, note),
        interval_cell(point.toxicity),
        interval_cell(point.change, signed=True),
        interval_cell(point.reduction, signed=True, share=True),
        interval_cell(point.perplexity_change, signed=True, share=True),
        Cell(percent(point.size), "", "", (point.size,)),
    )


def _random(draws: tuple[EigenPoint, ...]) -> tuple[Cell | str, ...]:
    """The mean of the random choices, with the least and the most of any."""
    seen = [point.toxicity.value for point in draws]
    costs = [point.perplexity_change.value for point in draws]
    return (
        Cell(plural(len(draws), "random choice"), "the mean, least and most", "muted"),
        Cell(number(fmean(seen)), f"{number(min(seen))} to {number(max(seen))}", "muted"),
        number_cell(fmean(point.change.value for point in draws), signed=True),
        Cell("–", "", "muted"),
        Cell(
            percent(fmean(costs), signed=True),
            f"{percent(min(costs), signed=True)} to {percent(max(costs), signed=True)}",
            "muted",
        ),
        Cell(percent(fmean(point.size for point in draws)), "", "muted"),
        *(Cell("–", "", "muted") for _ in range(4)),
    )


def _spectrum(told: EigenSpectrum) -> Picture:
    shares = ", ".join(f"{name} {percent(share)}" for name, share in told.captured.items())
    return Picture(
        eigen_spectrum(told),
        "The unembedding's singular values, and how far the means of "
        f"{plural(told.states[0], 'toxic state')} and {plural(told.states[1], 'other')} lie apart "
        f"along each direction. Of that difference {plural(told.k, 'chosen direction')} hold: "
        f"{shares}.",
        "Two curves over the number of the direction.",
        "eigen_spectrum",
    )
