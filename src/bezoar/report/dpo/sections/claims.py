"""First of all: what became of each claim of the paper, and the study in one picture."""

from __future__ import annotations

from bezoar.evaluate import MethodRow
from bezoar.report import theme
from bezoar.report.blocks import Block, Picture, Section, Text
from bezoar.report.dpo.artefacts import AS_TRAINED, Study
from bezoar.report.dpo.paper import NAME
from bezoar.report.figures.outcomes import outcomes
from bezoar.report.numbers import estimate
from bezoar.report.study.claims import claims_table, rules_table


def claims(study: Study) -> Section:
    """The picture, the claims, and the rules by which they were judged."""
    intro = (
        f"Each claim of {NAME} and what was seen of it on this model, by the rule that "
        "stands below. “Undecided” means that the interval allows both; it is no weak yes."
    )
    blocks: list[Block] = []
    if (picture := _outcomes(study)) is not None:
        blocks.append(picture)
    if study.claims:
        blocks += [claims_table(study.claims), rules_table(study.claims)]
    else:
        blocks.append(Text("This run judged no claims.", "muted"))
    return Section("paper-claims", "The paper's claims on this model", intro, tuple(blocks))


def _outcomes(study: Study) -> Picture | None:
    card = study.audit.scorecard
    if card is None:
        return None
    rows = [row for row in card.rows if "toxicity" in row.metrics and _is_of_the_paper(study, row)]
    if not rows or rows[0].kind != "no-op":
        return None
    colours = [
        theme.GREY
        if row.kind == "no-op"
        else theme.ORANGE
        if row is study.unaligned
        else theme.TEAL
        if AS_TRAINED in row.label
        else theme.BLUE
        for row in rows
    ]
    trained = study.trained
    told = (
        f"toxicity changes by {estimate(trained.change.get('toxicity'), signed=True)} as trained"
        if trained is not None
        else "no training is among them"
    )
    return Picture(
        outcomes(rows, colours),
        "Tables 2 and 4 at a glance: toxicity of every variant, and what it costs. Blue: at the "
        "budget that all share; green: as training left it; orange: toxic keys scaled. Bars are "
        "95 % intervals of the change against the no-op (grey, dotted), paired by prompt.",
        f"Dots with intervals, a line a variant; {told}.",
        "outcomes",
    )


def _is_of_the_paper(study: Study, row: MethodRow) -> bool:
    """Whether Tables 2 and 4 have it: other trainings are shown further down."""
    if row.kind == "method":
        trained = study.trained
        return not row.method.startswith("dpo") or trained is None or row.method == trained.method
    return row.kind == "no-op"
