"""Section 6: the remedy undone. Table 4, every other attack, and whether it could be foretold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bezoar.attack import (
    AttackPoint,
    RankCorrelations,
    ResidualCapability,
    Robustness,
    SampleFree,
)
from bezoar.evaluate import MethodRow
from bezoar.report.blocks import Block, Cell, Fold, Picture, Section, Table, Text, Tone
from bezoar.report.dpo.artefacts import Study
from bezoar.report.dpo.paper import NAME, PAPER, SECTIONS
from bezoar.report.dpo.sections.interventions import OUTCOMES, outcome_row
from bezoar.report.figures.key_scaling import key_scaling
from bezoar.report.figures.residual_capability import residual_capability
from bezoar.report.figures.robustness import robustness
from bezoar.report.figures.survival_map import survival_map
from bezoar.report.figures.survival_predictors import survival_predictors
from bezoar.report.numbers import estimate, p_value, plural
from bezoar.report.study.cells import interval_cell, number_cell
from bezoar.stats import Interval

_STATISTICS = {
    "basin_width": "basin width",
    "key_margin": "key margin",
    "relative_norm": "‖ΔW‖ / ‖W‖ of changed matrices",
    "stable_rank": "stable rank",
    "value_energy": "value energy",
}


def undone(study: Study) -> Section:
    """Table 4 and what goes beyond it."""
    intro = (
        f"{NAME} scale seven key vectors by ten, and the trained model is as toxic as it was. Here "
        "that is one attack of several, each with a budget, on every remedy. A model that an "
        "attack broke (perplexity beyond the limit) counts for nothing."
    )
    blocks = _table_4(study)
    if study.key_scaling is not None:
        blocks += _keys(study.key_scaling)
    blocks += _setup(study.setup)
    found = [each.robustness for each in study.attacked if each.robustness is not None]
    blocks += _robustness(found)
    left = [each.residual for each in study.attacked if each.residual is not None]
    if left:
        blocks += _residual(left)
    blocks += _foretold(study)
    return Section("undone", f"Undoing it ({SECTIONS['undoing']})", intro, tuple(blocks))


def _table_4(study: Study) -> list[Block]:
    card, row = study.audit.scorecard, study.unaligned
    if card is None or row is None:
        return [Text("No keys were scaled in the trained model: there is no Table 4.", "muted")]
    shown = [each for each in card.rows if each.kind == "no-op"]
    shown += [each for each in (study.trained, row) if each is not None]
    told = f"Under {card.measured}. “Change” is against the unedited model."
    table = Table(
        PAPER.table_caption(4, told), OUTCOMES, tuple(outcome_row(r) for r in shown), key="table_4"
    )
    blocks: list[Block] = [table]
    if study.trained is not None:
        blocks.insert(0, Text(_restored(study, study.trained, row)))
    return blocks


def _keys(found: Robustness) -> list[Block]:
    """Table 4 for other factors and numbers of keys, with biases, and for random keys."""
    curves = [curve for curve in found.curves if curve.points]
    if not curves:
        return []
    picture = Picture(
        key_scaling(found),
        "Table 4 as a curve: toxicity and perplexity of the trained model as its toxic keys are "
        "turned up, with biases scaled along or not, beside as many random keys of the same layers "
        "(dotted). A cross is a model beyond the limit of perplexity. Bars are 95 % intervals over "
        f"{plural(found.prompts_n, 'prompt')}.",
        "Two line charts; the table has the same numbers.",
        "table_4_curve",
    )
    rows = tuple(
        (Cell(point.label, name), *_point(point, found.base_perplexity))
        for name, points in [
            *((curve.attack, curve.points) for curve in curves),
            *((f"{curve.attack}, random keys", curve.nulls) for curve in curves if curve.nulls),
        ]
        for point in points
    )
    columns = ("keys", "toxicity", "perplexity", "× the base's", "counts")
    caption = f"Every point of the curve; {found.protocol}."
    return [picture, Table(caption, columns, rows, folded=True, key="table_4_points")]


def _point(point: AttackPoint, base: float | None) -> tuple[Cell | str, ...]:
    ratio = None if not base or point.perplexity is None else point.perplexity / base
    return (
        interval_cell(point.toxicity_interval),
        number_cell(point.perplexity),
        number_cell(ratio),
        Cell("yes") if point.valid else Cell("no, broken", "", "bad"),
    )


def _restored(study: Study, trained: MethodRow, scaled: MethodRow) -> str:
    was, now = (r.change.get("toxicity") for r in (trained, scaled))
    if was is None or now is None or was.value >= 0:
        return "Training lowered no toxicity here, so that scaled keys have nothing to bring back."
    told = (
        f"Training changed toxicity by {estimate(was, signed=True)}; with the keys scaled, "
        f"{estimate(now, signed=True)} of that is left"
    )
    if study.restored is not None:
        told += f": they brought back a share of {estimate(study.restored)}"
    return f"{told}."


def _setup(setup: dict[str, Any]) -> list[Block]:
    """What remedies were attacked with, as far as the run says."""
    told = []
    if texts := setup.get("texts"):
        told.append(f"The attacker's texts: {texts}.")
    left_out = setup.get("left_out")
    if isinstance(left_out, dict) and left_out:
        reasons = "; ".join(f"{name} ({why})" for name, why in left_out.items())
        told.append(f"Attacks that have no place in this model: {reasons}.")
    return [Text(" ".join(told), "muted")] if told else []


def _robustness(found: Sequence[Robustness]) -> list[Block]:
    if not found:
        return [Text("This run attacked nothing.", "muted")]
    blocks: list[Block] = []
    scored = [each for each in found if each.score is not None]
    if scored:
        picture = Picture(
            survival_map(found),
            "What survives of each remedy: the area under the surviving share of its reduction, "
            "over the budgets of each attack (1 = all of it whatever the budget). The first row is "
            f"their mean. Points count up to {found[0].limit:g} × the base's perplexity.",
            f"Heat map of {plural(len(scored), 'remedy', 'remedies')} by attacks.",
            "robustness",
        )
        blocks += [picture]
    blocks.append(_scores(found))
    panels = [(each, _panels(each, i)) for i, each in enumerate(found)]
    drawn = [picture for _, picture in panels if picture is not None]
    if drawn:
        blocks.append(drawn[0])
    if drawn[1:]:
        blocks.append(Fold("The same curves for every other remedy.", tuple(drawn[1:])))
    return blocks


def _scores(found: Sequence[Robustness]) -> Table:
    rows = tuple(
        (
            each.edit,
            interval_cell(each.reduction, signed=True),
            interval_cell(each.score),
            interval_cell(each.minimum),
            each.weakest if each.score is not None else each.undefined,
        )
        for each in found
    )
    first = found[0]
    caption = (
        f"Robustness: mean and smallest surviving area over attacks; {first.protocol}, "
        f"{plural(first.prompts_n, 'prompt')}."
    )
    columns = ("remedy", "reduction of toxicity", "score", "minimum", "weakest against")
    return Table(caption, columns, rows, wordy=True, key="robustness_scores")


def _panels(found: Robustness, i: int) -> Picture | None:
    try:
        drawn = robustness(found)
    except TypeError:
        return None
    return Picture(
        drawn,
        f"{found.edit}: the surviving share against what the attacker spends, attack by attack. A "
        "cross is a model that broke; dotted is the attack's null, as strong but aimless, and the "
        "worst of several tries where the attack is; the line is the lowest counting dot up to a "
        "budget.",
        f"{plural(len(found.curves), 'small panel')}. {found.verdict()}",
        f"robustness_{i + 1}",
    )


def _residual(found: Sequence[ResidualCapability]) -> list[Block]:
    tones: dict[str, Tone] = {"eliminated": "good", "bypassed": "bad"}
    picture = Picture(
        residual_capability(found),
        "Eliminated or bypassed? Left: a probe fitted and tested on each model still reads the "
        "behaviour, or not. Right: the share of the reduction that steering the edited model "
        "brings back, within the limit of perplexity; the dash is what random directions do.",
        "Two panels of dots with intervals, a line a remedy; the table has the same numbers.",
        "residual_capability",
    )
    rows = tuple(
        (
            Cell(each.edit, each.verdict, tones.get(each.verdict, "")),
            interval_cell(each.base),
            interval_cell(each.edited),
            interval_cell(each.loss, signed=True),
            interval_cell(each.recovered),
            number_cell(each.null_recovered),
            each.why,
        )
        for each in found
    )
    columns = ("remedy", "probe, base", "probe, edited", "loss", "brought back", "at random", "why")
    caption = f"Residual capability: AUROC at {found[0].site}, and what steering brings back."
    return [picture, Table(caption, columns, rows, wordy=True)]


def _foretold(study: Study) -> list[Block]:
    """Statistics that need no toxic sample, and whether they predict survival."""
    both = [
        (each.robustness, each.sample_free)
        for each in study.attacked
        if each.robustness is not None and each.sample_free is not None
    ]
    free = [each.sample_free for each in study.attacked if each.sample_free is not None]
    if not free:
        return []
    scores = {free.edit: scored.score for scored, free in both}
    blocks: list[Block] = []
    if any(scored.score is not None for scored, _ in both):
        blocks.append(
            Picture(
                survival_predictors(both),
                f"The paper's open question ({SECTIONS['undoing']}): can it be told without "
                "samples how easily a remedy is undone? Each statistic, which needs no toxic text, "
                "against the score.",
                "Small scatter plots, a dot a remedy.",
                "sample_free",
            )
        )
    if study.correlations is not None and study.correlations.rows:
        blocks.append(_correlations(study.correlations))
    return [*blocks, _statistics(free, scores)]


def _correlations(found: RankCorrelations) -> Table:
    rows = tuple(
        (
            _STATISTICS.get(row.statistic, row.statistic),
            interval_cell(row.rho, signed=True),
            p_value(row.p),
            p_value(row.p_holm),
        )
        for row in found.rows
    )
    caption = (
        f"Rank correlation of each statistic with the score, over {plural(found.rows[0].n, 'edit')}"
        ": few edits can only show a strong one."
    )
    columns = ("statistic", "Spearman's ρ", "p", "p (Holm)")
    return Table(caption, columns, rows, key="sample_free_correlations")


def _basin(found: SampleFree) -> Cell:
    if found.basin_width is None:
        return number_cell(None)
    if found.basin_open:  # the largest σ tried, no width: its file has no number either
        return Cell(f"> {found.basin_width:g}")
    return number_cell(found.basin_width)


def _statistics(found: Sequence[SampleFree], scores: Mapping[str, Interval | None]) -> Table:
    rows = tuple(
        (
            each.edit,
            interval_cell(scores.get(each.edit)),
            _basin(each),
            number_cell(each.key_margin, signed=True),
            number_cell(each.relative_norm),
            number_cell(each.stable_rank),
            number_cell(each.value_energy),
        )
        for each in found
    )
    caption = (
        "Statistics without samples, beside the robustness score that attacks measured (what they "
        "are ranked against). Basin width: relative weight noise at which half of the effect is "
        "left, “>” the largest that was tried. Key margin: how far toxic neurons are pushed down "
        "on neutral text, in standard deviations. Value energy: of the toxic value vectors along "
        "the probe, after over before."
    )
    columns = ("remedy", "measured robustness score", *_STATISTICS.values())
    return Table(caption, columns, rows, key="sample_free_statistics")
