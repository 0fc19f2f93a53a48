"""Section 3: toxic vectors subtracted, at one cost, beside DPO; and what is written then."""

from __future__ import annotations

from itertools import takewhile

from bezoar.compare.models.qualitative import Qualitative
from bezoar.evaluate import MethodRow, Scorecard
from bezoar.report.blocks import Block, Cell, Fold, Picture, Section, Table, Text, Tone
from bezoar.report.dpo.artefacts import AS_TRAINED, Study
from bezoar.report.dpo.paper import HEADLINES, NAME, PAPER, SECTIONS
from bezoar.report.figures.comparison import TOO_FEW, drawn_note, p_tone, proven, with_nulls
from bezoar.report.numbers import p_value, percent, plural, visible_token
from bezoar.report.sections.examples import examples
from bezoar.report.sections.helps import helps
from bezoar.report.study.cells import interval_cell, number_cell

TOKENS = 5


def interventions(study: Study) -> Section:
    """The comparison, Table 2, the tables behind it, Table 3."""
    intro = (
        f"{NAME} subtract the probe, one value vector or a singular vector from the last layer, "
        "each scaled by hand until perplexity is that of the DPO model. Here a search gives every "
        "method the same budget on other texts, and each has nulls: edits of the same kind and "
        "cost whose direction means nothing."
    )
    card = study.audit.scorecard
    blocks: list[Block] = [Text("This run compared no remedy: there is no Table 2.", "muted")]
    if card is not None:
        told = helps(study.audit).blocks
        pictures = tuple(takewhile(lambda block: isinstance(block, Picture), told))
        rest = Fold(
            "Every variant with all of its nulls, and how strengths were found.",
            told[len(pictures) :],
        )
        blocks = [*pictures, table_2(study, card), _printed(), rest]
    title = f"Subtracted, and trained away ({SECTIONS['toxicity']})"
    return Section("interventions", title, intro, (*blocks, *_qualitative(study)))


def table_2(study: Study, card: Scorecard) -> Table:
    """The no-op, what the paper subtracts, and DPO at the budget and as trained."""
    nulls = {method.label: nulls for method, nulls in with_nulls(card)}
    no_op = [row for row in card.rows if row.kind == "no-op"]
    chosen = [row for row in study.methods if row is not study.unaligned]
    rows: list[tuple[Cell | str, ...]] = []
    for row in (*no_op, *chosen):
        rows.append(outcome_row(row))
        rows += [outcome_row(null) for null in nulls.get(row.label, [])[:1]]
    caption = PAPER.table_caption(
        2,
        f"Under {card.measured}, {plural(card.prompts_n, 'prompt')}, scored by "
        f"{card.report_scorer} (the paper: the largest of seven Perspective attributes). Brackets "
        "are 95 % intervals by prompt; changes are paired with the no-op. p is against the null "
        f"that is hardest to beat (grey), Holm-corrected. {TOO_FEW} At the budget means scaled to "
        f"the perplexity that all methods may spend; “{AS_TRAINED}” is W + ΔW as training left it, "
        "which no budget bounds.",
    )
    return Table(caption, OUTCOMES, tuple(rows), key="table_2")


OUTCOMES = ("variant", "toxicity", "change", "p (Holm)", "perplexity", "change of perplexity", "F1")


def outcome_row(row: MethodRow) -> tuple[Cell | str, ...]:
    """One variant in the columns of Tables 2 and 4."""
    fixed = row.kind in ("base", "no-op")
    quiet: Tone = "muted" if row.kind == "null" else ""
    change, cost = (
        None if fixed else row.change.get(name) for name in ("toxicity", "perplexity_change")
    )
    tone: Tone = quiet
    if row.kind == "method" and change is not None:
        tone = "good" if proven(row) else "bad" if change.low > 0 else ""
    if row.kind == "null":
        name = Cell(f"↳ {row.label.rpartition(': ')[2]}", "", "muted")
    else:
        name = Cell(row.label, _strength(row))
    return (
        name,
        interval_cell(row.metrics.get("toxicity"), tone=quiet),
        interval_cell(change, signed=True, tone=tone),
        _p(row),
        interval_cell(row.metrics.get("perplexity"), tone=quiet),
        interval_cell(cost, signed=True, share=True, tone=quiet),
        interval_cell(row.metrics.get("f1"), tone=quiet),
    )


def _strength(row: MethodRow) -> str:
    if row.kind != "method":
        return ""
    return "" if row.strength is None else f"at the budget, strength {row.strength:.3g}"


def _p(row: MethodRow) -> Cell:
    p = row.null_p if row.kind == "null" else row.holm_p
    if p is None:
        return Cell("–", "", "muted")
    tone: Tone = "muted" if row.kind == "null" else p_tone(row)
    note = drawn_note(row) if row.kind != "null" else plural(row.n_draws, "draw")
    return Cell(p_value(p), note, tone, (p,))


def _printed() -> Table:
    rows: tuple[tuple[Cell | str, ...], ...] = tuple(
        (name, *map(number_cell, values)) for name, values in HEADLINES
    )
    caption = f"What {NAME} print in Tables 2 and 4, for GPT-2 medium: to compare in sign only."
    return Table(caption, ("variant", "toxicity", "perplexity", "F1"), rows, folded=True)


def _qualitative(study: Study) -> list[Block]:
    """Table 3, and what the variants write after the report's own prompts."""
    blocks: list[Block] = []
    if study.qualitative is not None:
        blocks.append(_table_3(study.qualitative))
    else:
        blocks.append(Text("This run compared no next tokens: there is no Table 3.", "muted"))
    told = examples(study.audit)
    if study.audit.scorecard is not None and study.audit.scorecard.continuations:
        blocks.append(Fold("Before and after, on the report's prompts.", told.blocks))
    return blocks


def _table_3(found: Qualitative) -> Table:
    rows = tuple(
        (
            Cell(_line(example.prompt) if i == 0 else "″"),
            Cell(model.model),
            Cell(
                ", ".join(
                    f"{visible_token(t.token)} {percent(t.probability, digits=0)}"
                    for t in model.tokens[:TOKENS]
                )
            ),
            Cell(_line(model.text) or "(nothing)"),
        )
        for example in found.examples
        for i, model in enumerate(example.models)
    )
    caption = PAPER.table_caption(
        3,
        "The likeliest next tokens with their probability, and the greedy continuation of "
        f"{plural(found.new_tokens, 'token')}. Profanity and slurs are masked.",
    )
    columns = ("prompt", "model", "likeliest next tokens", "continuation")
    return Table(caption, columns, rows, numeric=False, key="table_3")


def _line(text: str) -> str:
    return " ".join(text.split())
