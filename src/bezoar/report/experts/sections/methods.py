"""The main table: every method at one cost and as published, with what else it does."""

from __future__ import annotations

from dataclasses import replace

from bezoar.evaluate import FrontPoint, MethodRow, Scorecard
from bezoar.report.blocks import Block, Cell, Fold, Picture, Section, Table, Text, Tone
from bezoar.report.experts.artefacts import AS_PUBLISHED, Study, broken
from bezoar.report.experts.paper import MAIN, MAIN_COLUMNS, MAIN_NOTE, NAME, PAPER
from bezoar.report.figures.comparison import TOO_FEW, drawn_note, p_tone, proven
from bezoar.report.numbers import p_value, percent, plural
from bezoar.report.sections.examples import examples
from bezoar.report.sections.front import front
from bezoar.report.sections.helps import helps
from bezoar.report.study.cells import interval_cell, number_cell
from bezoar.runs.usage import Usage

COLUMNS = (
    "variant",
    "toxicity",
    "change",
    "p (Holm)",
    "perplexity",
    "change of perplexity",
    "TPH",
    "hyper-volume",
)


def methods(study: Study) -> Section:
    """The main table, what each method costs beside perplexity, and what it writes."""
    intro = (
        "Each method twice, where its paper prints a strength: scaled to the budget that all "
        "share, on other texts, beside nulls of the same cost; and as published, whatever that "
        "costs. TPH is the paper's own score of both together; the hyper-volume decides, because "
        "TPH can be bought with toxicity alone."
    )
    card = study.audit.scorecard
    if card is None:
        text = Text("This run compared no remedy: there is no main table.", "muted")
        return Section("methods", "What lowers toxicity, and at what cost", intro, (text,))
    blocks: list[Block] = [main_table(study, card), _printed()]
    blocks += [
        *_pictures(study, card),
        *(t for t in (_beside(study, card), front(card)) if t is not None),
    ]
    blocks += _folded(study, card)
    return Section("methods", "What lowers toxicity, and at what cost", intro, tuple(blocks))


def main_table(study: Study, card: Scorecard) -> Table:
    """The no-op and every method."""
    points = {} if card.front is None else {point.label: point for point in card.front.points}
    no_op = () if study.no_op is None else (study.no_op,)
    rows = tuple(_row(row, points.get(row.label)) for row in (*no_op, *study.methods))
    limit = "" if card.front is None else f" (below perplexity +{card.front.limit:.0%})"
    caption = PAPER.table_caption(
        "main",
        f"Under {card.measured}, {plural(card.prompts_n, 'prompt')}, scored by "
        f"{card.report_scorer}. Brackets are 95 % intervals; changes are paired with the no-op, by "
        "prompt or by window of text. p is against the null edits that are hardest to beat, "
        f"Holm-corrected. {TOO_FEW} “{AS_PUBLISHED}” has the strength that the "
        f"method's paper prints, and no nulls. Hyper-volume{limit}: what the row covers alone, 1 "
        "being no toxicity at no cost.",
    )
    return Table(caption, COLUMNS, rows, key="table_main")


def _row(row: MethodRow, point: FrontPoint | None) -> tuple[Cell | str, ...]:
    fixed = row.kind != "method"
    change, cost, tph = (
        None if fixed else row.change.get(name) for name in ("toxicity", "perplexity_change", "tph")
    )
    tone: Tone = ""
    if change is not None:
        tone = "good" if proven(row) else "bad" if change.low > 0 else ""
    return (
        Cell(row.label, _strength(row)),
        interval_cell(row.metrics.get("toxicity")),
        interval_cell(change, signed=True, tone=tone),
        _p(row),
        interval_cell(row.metrics.get("perplexity")),
        interval_cell(cost, signed=True, share=True),
        interval_cell(tph),
        interval_cell(None if point is None else point.alone),
    )


def _strength(row: MethodRow) -> str:
    if row.kind != "method" or row.label.endswith(AS_PUBLISHED):
        return ""
    return "" if row.strength is None else f"at the budget, strength {row.strength:.3g}"


def _p(row: MethodRow) -> Cell:
    if row.holm_p is None:
        return Cell("–", "", "muted")
    return Cell(p_value(row.holm_p), drawn_note(row), p_tone(row), (row.holm_p,))


def _printed() -> Table:
    caption = (
        f"What {NAME} prints: toxicity in per cent / perplexity / TPH in per cent, of models with "
        f"7 billion parameters and GPT-2-XL; to compare in sign and order only. {MAIN_NOTE}"
    )
    return Table(caption, MAIN_COLUMNS, MAIN, folded=True)


def _beside(study: Study, card: Scorecard) -> Table | None:
    """Tasks, answers changed, what fitting took and one continuation, a line a method."""
    names = [name.partition(":")[2] for name in _tasks(study)]
    said = card.continuations[0] if card.continuations else None
    if not names and said is None and not study.audit.times.fitted:
        return None
    columns = ["variant"]
    for name in names:
        columns += [name, f"{name}, changed"]
    times = study.audit.times.fitted
    columns += ["seconds to fit", "MiB to fit"] if times else []
    columns += [] if said is None else ["writes, after one prompt"]
    rows: list[tuple[Cell | str, ...]] = []
    for row in (*(() if study.no_op is None else (study.no_op,)), *study.methods):
        cells: list[Cell | str] = [row.label]
        for name in names:
            cells += [_task(row, name), _turned(row, name)]
        cells += _took(times.get(row.method)) if times else []
        if said is not None:
            label = "base" if row.kind == "no-op" else row.label
            cells.append(" ".join(said.by_method.get(label, "–").split()) or "(nothing)")
        rows.append(tuple(cells))
    caption = (
        "What else changes: accuracy of each task, with its change and 95 % interval paired by "
        "item, how many answers turned right or wrong (the no-op: none), and what one fit took on "
        "the machine of this run."
    )
    if said is not None:
        prompt = " ".join(said.prompt.split())
        caption += (
            f" One continuation, the first of the report's, of “{prompt}”; the rest is below. "
            "Profanity and slurs are masked."
        )
    return Table(caption, tuple(columns), tuple(rows), wordy=said is not None, key="table_beside")


def _took(usage: Usage | None) -> list[Cell | str]:
    """Seconds, and by how much the process grew (of the accelerator, if there was one)."""
    if usage is None:
        return [Cell("–", "", "muted")] * 2
    memory = (usage.device_memory or usage.memory) / 2**20
    return [number_cell(usage.seconds), number_cell(memory)]


def _tasks(study: Study) -> list[str]:
    rows = () if study.no_op is None else (study.no_op,)
    return [name for row in rows for name in row.metrics if name.startswith("task:")]


def _task(row: MethodRow, name: str) -> Cell:
    seen, change = row.metrics.get(f"task:{name}"), row.change.get(f"task:{name}")
    if seen is None:
        return Cell("–", "", "muted")
    if change is None or row.kind != "method":
        return Cell(percent(seen.value), "", "", (seen.value,))
    low, high = (percent(bound, signed=True) for bound in (change.low, change.high))
    note = f"{percent(change.value, signed=True)} [{low}, {high}]"
    tone: Tone = "bad" if change.high < 0 else "good" if change.low > 0 else ""
    return Cell(percent(seen.value), note, tone, (seen.value,))


def _turned(row: MethodRow, name: str) -> Cell:
    turned = row.change.get(f"changed:{name}")
    if turned is None:
        return Cell("–", "", "muted")
    return Cell(f"{turned.value:.0f}", f"of {turned.n}", "", (turned.value,))


def _pictures(study: Study, card: Scorecard) -> list[Picture]:
    """The comparison with its nulls, and toxicity against cost, of what did not break the model."""
    whole = replace(card, rows=tuple(row for row in card.rows if not broken(row)))
    told = helps(replace(study.audit, scorecard=whole)).blocks
    return [block for block in told if isinstance(block, Picture)][:2]


def _folded(study: Study, card: Scorecard) -> list[Block]:
    """What an audit shows beside: every null, and how strengths were found."""
    weighed = front(card)
    told = [block for block in helps(study.audit).blocks if block != weighed]
    rest = tuple(block for block in told if not isinstance(block, Picture))
    blocks: list[Block] = [
        Fold("Every method with all of its nulls, and how strengths were found.", rest)
    ]
    if card.continuations:
        fold = Fold("Before and after, on the report's prompts.", examples(study.audit).blocks)
        blocks.append(fold)
    return blocks
