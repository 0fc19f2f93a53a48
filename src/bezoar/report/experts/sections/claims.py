"""First of all: what became of each claim of the paper, and the study in one picture."""

from __future__ import annotations

from bezoar.evaluate import MethodRow
from bezoar.report import theme
from bezoar.report.blocks import Block, Picture, Section, Text
from bezoar.report.experts.artefacts import AS_PUBLISHED, Study, broken, name_of
from bezoar.report.experts.paper import NAME
from bezoar.report.figures.outcomes import outcomes
from bezoar.report.numbers import percent
from bezoar.report.study.claims import claims_table, rules_table


def claims(study: Study) -> Section:
    """The picture, the claims, and the rules by which they were judged."""
    intro = (
        f"Each claim of {NAME} and what was seen of it on this model, by the rule that stands "
        "below; claims that are not the paper's test what it left open. “Undecided” means that the "
        "interval allows both; it is no weak yes."
    )
    blocks: list[Block] = [*_outcomes(study)]
    if study.claims:
        blocks += [claims_table(study.claims), rules_table(study.claims)]
    else:
        blocks.append(Text("This run judged no claims.", "muted"))
    return Section("paper-claims", "The paper's claims on this model", intro, tuple(blocks))


def _outcomes(study: Study) -> list[Block]:
    no_op = study.no_op
    if no_op is None:
        return []
    rows = [row for row in study.methods if "toxicity" in row.metrics]
    drawn = [no_op, *(row for row in rows if not broken(row))]
    left_out = [row for row in rows if broken(row)]
    picture = Picture(
        outcomes(drawn, [theme.GREY, *map(_colour, drawn[1:])]),
        "Every method at a glance: toxicity, and what it costs. Blue: EigenShift at the budget "
        "that all share; green: other methods at that budget; orange: at the strength that their "
        "papers print, which no budget bounds. Bars are 95 % intervals of the change against the "
        "no-op (grey, dotted), paired by prompt.",
        "Dots with intervals, a line a variant; the main table has the same numbers.",
        "outcomes",
    )
    if not left_out:
        return [picture]
    told = ", ".join(f"{row.label} ({_cost(row)})" for row in left_out)
    return [picture, Text(f"Not drawn, because perplexity more than doubles: {told}.", "muted")]


def _colour(row: MethodRow) -> str:
    if row.label.endswith(AS_PUBLISHED):
        return theme.ORANGE
    return theme.BLUE if name_of(row) == "eigenshift" else theme.TEAL


def _cost(row: MethodRow) -> str:
    return f"perplexity {percent(row.change['perplexity_change'].value, signed=True, digits=0)}"
