"""The end of "What helps": how each strength was found, and which method could not be had."""

from __future__ import annotations

from dataclasses import replace

from bezoar.evaluate import Scorecard
from bezoar.mitigate import BudgetTrace
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Picture, Table, Text
from bezoar.report.figures.budget_trace import budget_trace
from bezoar.report.numbers import count, number, plural

FAILED = "methods that missed the budget"


def strengths(run: Artefacts, card: Scorecard) -> list[Block]:
    """What failed and why, then the searches as small pictures and as a table."""
    labels = {name: row.label for name, row in card.variants().items() if row.kind == "method"}
    named = tuple(replace(t, method=labels.get(t.method, t.method)) for t in run.traces)
    failed = run.audit.get(FAILED)
    blocks: list[Block] = []
    if isinstance(failed, dict) and failed:
        blocks.append(_failed(failed))
    bent = [trace.method for trace in named if not trace.monotone]
    if bent:
        blocks.append(Text(_bent(bent), "bad"))
    if named:
        blocks += [_picture(named), _table(named)]
    return blocks


def _failed(failed: dict[str, str]) -> Table:
    rows = tuple((Cell(name, "", "bad"), str(reason)) for name, reason in failed.items())
    caption = f"Tried and not compared: {plural(len(rows), 'method')} that could not be fitted."
    return Table(caption, ("method", "why"), rows, numeric=False)


def _bent(methods: list[str]) -> str:
    return (
        f"Mind: cost fell somewhere as strength rose for {', '.join(methods)}. The strength chosen "
        "is the largest below which none that was tried broke the budget; a stronger one may meet "
        "it again."
    )


def _picture(traces: tuple[BudgetTrace, ...]) -> Picture:
    return Picture(
        budget_trace(traces),
        "How each strength was found: what every strength that was tried cost, on the selection "
        "half. The dotted line is the budget, the large point what was chosen; a cross at the top "
        "cost more than is drawn, or broke the model.",
        f"{plural(len(traces), 'small panel')} of cost by strength; the table has the numbers.",
    )


def _table(traces: tuple[BudgetTrace, ...]) -> Table:
    rows = tuple(
        (
            trace.method,
            "none" if trace.strength is None else number(trace.strength),
            number(trace.cost),
            count(len(trace.points)),
            Cell("yes") if trace.monotone else Cell("no", "", "bad"),
            trace.outcome if trace.strength is not None else "no strength met the budget",
        )
        for trace in traces
    )
    caption = f"The search for each strength; a cost of at most {traces[0].budget:g} was allowed."
    columns = ("method", "strength", "cost", "tried", "monotone", "how it ended")
    return Table(caption, columns, rows, folded=True)
