"""6. What helps: every remedy at the same cost, beside nulls that could have won."""

from __future__ import annotations

from bezoar.evaluate import MethodRow, Metric, Scorecard
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text, Tone
from bezoar.report.figures.comparison import (
    TOO_FEW,
    comparison,
    drawn_note,
    p_tone,
    proven,
    too_few_nulls,
    with_nulls,
)
from bezoar.report.figures.pareto import pareto
from bezoar.report.numbers import bounds, estimate, number, p_value, percent, plural
from bezoar.report.sections.front import front
from bezoar.report.sections.strengths import strengths
from bezoar.runs.expressions import parse_budget


def helps(run: Artefacts) -> Section:
    """Pictures of the comparison, the table under them, and how each strength was found."""
    intro = (
        "Every method was given the same budget, on texts that are not used here. Changes are "
        "paired, prompt by prompt, with the unedited model run through the same code (no-op). "
        "Nulls are edits of the same kind, at the same cost or strength, whose direction means "
        "nothing: a method that does not beat them has shown nothing. A control shrinks what every "
        "MLP writes, at the same cost: what lowers toxicity no further than it is damage."
    )
    if run.scorecard is None:
        return Section("helps", "What helps", intro, (Text("No remedy was compared.", "muted"),))
    card, best = run.scorecard, run.best()
    pairs = with_nulls(card)
    blocks: list[Block] = []
    if pairs:
        blocks += [_comparison(card), _pareto(run, card)]
        blocks += [table for table in (front(card),) if table is not None]
    blocks += _tables(card, best)
    blocks += [Text(text) for text in _reasons(card)]
    return Section("helps", "What helps", intro, (*blocks, *strengths(run, card)))


def _comparison(card: Scorecard) -> Picture:
    first, _ = with_nulls(card)[0]
    change = estimate(first.change["toxicity"], signed=True)
    return Picture(
        comparison(card),
        f"Change against the no-op under {card.measured}, scored by {card.report_scorer}, with "
        "95 % intervals paired by prompt. Grey: the mean edit of each kind of null. An open "
        "circle needs a patch at run time; a full one becomes plain weights.",
        f"Dots with intervals, one line a method. The largest fall is of {first.label}: {change}.",
    )


def _pareto(run: Artefacts, card: Scorecard) -> Picture:
    return Picture(
        pareto(card, budget=_allowed(run, card)),
        "Toxicity against what it cost. Variants on the line are beaten by no other on both; "
        "bars are 95 % intervals of the paired changes; grey dots are mean null edits (some "
        "may lie beyond the edge). The budget was met on other texts, so a point may pass it here.",
        "Scatter of the variants; the table below has the same numbers.",
    )


def _allowed(run: Artefacts, card: Scorecard) -> float | None:
    """The share by which the budget lets perplexity rise, if it was set on perplexity."""
    text = run.audit.get("budget") or run.options.get("mitigate", {}).get("budget")
    no_op = next((row for row in card.rows if row.kind == "no-op"), None)
    if not text or no_op is None or "perplexity" not in no_op.metrics:
        return None
    budget = parse_budget(str(text))
    if budget.measure != "ppl":
        return None
    return budget.limit if budget.relative else budget.limit / no_op.metrics["perplexity"].value


def _tables(card: Scorecard, best: MethodRow | None) -> list[Block]:
    """The comparison with the null that is hardest to beat under each method; then every null."""
    first = [row for row in card.rows if row.kind in ("base", "no-op")]
    pairs = with_nulls(card)
    main = [*first, *(row for method, nulls in pairs for row in (method, *nulls[:1]))]
    every = [row for method, nulls in pairs for row in (method, *nulls)]
    blocks: list[Block] = [_table(card, main, best, _caption(card))]
    if any(len(nulls) > 1 for _, nulls in pairs):
        blocks.append(_table(card, every, best, "Every kind of null.", folded=True))
    return blocks


def _table(
    card: Scorecard,
    shown: list[MethodRow],
    best: MethodRow | None,
    caption: str,
    *,
    folded: bool = False,
) -> Table:
    second = sorted({name for row in card.rows for name in row.metrics if name[:9] == "toxicity:"})
    others = [name for name in _HEADS if _any(card, name)]
    columns = (
        "variant",
        "toxicity",
        "change",
        "p (Holm)",
        "perplexity",
        *(f"by {name.partition(':')[2]}" for name in second),
        *(_HEADS[name] for name in others),
    )
    rows = tuple(
        (
            _name(row, best),
            _metric(row, "toxicity"),
            _change(row),
            _p(row),
            _perplexity(row),
            *(_metric(row, name) for name in (*second, *others)),
        )
        for row in shown
    )
    return Table(caption, columns, rows, folded=folded)


_HEADS = {"kl": "KL", "f1": "F1", "distinct_2": "distinct-2", "repetition_4": "repetition-4"}


def _caption(card: Scorecard) -> str:
    protocols = {m.name: m.protocol for row in card.rows for m in row.metrics.values()}
    names = {"perplexity": "perplexity", "kl": "KL", "f1": "F1"}
    quality = "; ".join(f"{names[n]}: {protocols[n]}" for n in names if n in protocols)
    return (
        f"{card.measured}, {plural(card.prompts_n, 'prompt')}; toxicity by {card.report_scorer}, "
        f"strengths chosen with {card.selection_scorer}; {quality}. Brackets: 95 % intervals. "
        "p: against the nulls that are hardest to beat (the grey rows), Holm-corrected for the "
        "number of methods; small print: uncorrected, and for nulls by rank among the draws. "
        "Green: toxicity fell beyond its interval, and both p and the rank among all draws are "
        f"0.05 at most. {TOO_FEW}"
    )


def _any(card: Scorecard, name: str) -> bool:
    return any(name in row.metrics for row in card.rows)


def _name(row: MethodRow, best: MethodRow | None) -> Cell:
    if row.kind == "null":
        return Cell(f"↳ {row.label.rpartition(': ')[2]}", "", "muted")
    notes = [] if row.strength is None else [f"strength {row.strength:.3g}"]
    if row.foldable is not None:
        notes.append("folds" if row.foldable else "needs a patch")
    if best is not None and row == best:
        return Cell(row.label, " · ".join([*notes, "chosen"]), "strong")
    return Cell(row.label, " · ".join(notes))


def _metric(row: MethodRow, name: str, *, signed: bool = False) -> Cell:
    metric = row.metrics.get(name)
    return _estimate(metric, row, signed=signed) if metric is not None else Cell("–", "", "muted")


def _estimate(metric: Metric, row: MethodRow, *, signed: bool = False, tone: Tone = "") -> Cell:
    if metric.identity:
        return Cell(number(metric.value, signed=signed), "cannot move", "muted")
    note = bounds(metric.low, metric.high, signed=signed)
    return Cell(number(metric.value, signed=signed), note, "muted" if row.kind == "null" else tone)


def _change(row: MethodRow) -> Cell:
    metric = row.change.get("toxicity")
    if metric is None or row.kind in ("base", "no-op"):
        return Cell("–", "", "muted")
    tone: Tone = "good" if proven(row) else "bad" if metric.low > 0 else ""
    return _estimate(metric, row, signed=True, tone=tone)


def _p(row: MethodRow) -> Cell:
    if row.kind == "null":
        return Cell(p_value(row.null_p), f"{p_value(row.rank_p)} by rank", "muted")
    if row.holm_p is None:
        return Cell("–", "", "muted")
    few = f", {drawn_note(row)}" if too_few_nulls(row) else ""
    return Cell(p_value(row.holm_p), p_value(row.null_p) + few, p_tone(row))


def _perplexity(row: MethodRow) -> Cell:
    metric = row.metrics.get("perplexity")
    if metric is None:
        return Cell("–", "", "muted")
    change = row.change.get("perplexity_change")
    note = bounds(metric.low, metric.high)
    if change is not None and row.kind not in ("base", "no-op"):
        note = percent(change.value, signed=True)
    return Cell(number(metric.value), note, "muted" if row.kind == "null" else "")


def _reasons(card: Scorecard) -> list[str]:
    return [
        f"{row.label} does not fold into plain weights. {row.fold_reason}"
        for row in card.rows
        if row.kind == "method" and row.foldable is False and row.fold_reason
    ]
