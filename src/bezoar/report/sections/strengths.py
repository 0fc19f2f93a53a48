"""The end of "What helps": how each strength was found, and which method could not be had."""

from __future__ import annotations

from dataclasses import replace

from bezoar.errors import BezoarError
from bezoar.evaluate import Scorecard
from bezoar.mitigate import BudgetTrace, parse_method
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Picture, Table, Text
from bezoar.report.figures.budget_trace import budget_trace
from bezoar.report.numbers import count, number, plural
from bezoar.runs.usage import Times

_STAGES = ("locate", "pairs", "states", "experts", "moments", "sae")
_STAGE_OF = dict.fromkeys(("probe", "mean_difference", "values", "svd", "words"), "locate")
_STAGE_OF["latents"] = "sae"
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
    if (took := _taken(run.traces, labels, run.times)) is not None:
        blocks.append(took)
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


def _taken(traces: tuple[BudgetTrace, ...], labels: dict[str, str], times: Times) -> Table | None:
    """What one fit of each method took, beside the stages that made its inputs."""
    rows = []
    for trace in traces:
        usage = times.fitted.get(trace.method)
        if usage is None:
            continue
        stages = _stages_for(trace.method)
        spent = sum(times.stages.get(stage, 0.0) for stage in stages)
        device = (number(usage.device_memory / 2**20),) if _on_device(times) else ()
        rows.append(
            (
                labels.get(trace.method, trace.method),
                number(usage.seconds),
                number(usage.memory / 2**20),
                *device,
                Cell(number(spent), ", ".join(stages)) if stages else Cell("–", "", "muted"),
            )
        )
    if not rows:
        return None
    caption = (
        "What one fit took on the machine of this run, by how much the process grew at its "
        "largest meanwhile, and what the stages took whose results it is fitted from, which all "
        "methods share."
    )
    device_head = ("device MiB",) if _on_device(times) else ()
    columns = ("method", "seconds to fit", "MiB", *device_head, "seconds of stages before")
    return Table(caption, columns, tuple(rows), folded=True)


def _on_device(times: Times) -> bool:
    return any(usage.device_memory for usage in times.fitted.values())


def _stages_for(spec: str) -> tuple[str, ...]:
    """The stages that left what a method is fitted from; none for one that is not known here."""
    try:
        needed = parse_method(spec).requires
    except BezoarError:
        return ()
    found = {_STAGE_OF.get(name, name) for name in needed if name != "corpus"}
    return tuple(stage for stage in _STAGES if stage in found)
