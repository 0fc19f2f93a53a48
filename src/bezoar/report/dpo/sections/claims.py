"""First of all: what became of each claim of the paper, and the study in one picture."""

from __future__ import annotations

from bezoar.evaluate import MethodRow
from bezoar.report import theme
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text, Tone
from bezoar.report.dpo.artefacts import AS_TRAINED, Study
from bezoar.report.dpo.exhibits import interval_cell, number_cell
from bezoar.report.dpo.paper import NAME
from bezoar.report.dpo.parts import Claim
from bezoar.report.figures.outcomes import outcomes
from bezoar.report.numbers import estimate, number, p_value

TONES: dict[str, Tone] = {"holds": "good", "fails": "bad", "not measured": "muted"}


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
        blocks += [_table(study.claims), _rules(study.claims)]
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


def _table(claims: tuple[Claim, ...]) -> Table:
    rows = tuple(
        (
            Cell(claim.statement, claim.source),
            Cell(claim.verdict, "", TONES.get(claim.verdict, "")),
            _value(claim),
            "–" if claim.null_p is None else Cell(p_value(claim.null_p), "", "", (claim.null_p,)),
            Cell(claim.measure, claim.why),
        )
        for claim in claims
    )
    caption = (
        "Claims in the order of the paper, with the number that decides and its 95 % interval. p: "
        "how often what should have no effect does as well."
    )
    columns = ("claim", "verdict", "value", "p", "what the value is, and why")
    return Table(caption, columns, rows, wordy=True, key="claims")


def _value(claim: Claim) -> Cell:
    seen = claim.value
    if seen is None:
        return Cell("–", "", "muted")
    if 0.999 < seen.value < 1:  # a cosine, of which three digits would say nothing
        low, high = (number(bound, digits=6) for bound in (seen.low, seen.high))
        note = "" if low == high else f"[{low}, {high}]"
        return Cell(number(seen.value, digits=6), note, "", (seen.value, seen.low, seen.high))
    if seen.low == seen.high:  # computed from all there is
        return number_cell(seen.value)
    return interval_cell(seen)


def _rules(claims: tuple[Claim, ...]) -> Table:
    rows = tuple((claim.key, claim.rule) for claim in claims if claim.rule)
    return Table("By which rule each was judged.", ("claim", "rule"), rows, folded=True, wordy=True)
