"""8. Side effects and capability: what else moved."""

from __future__ import annotations

from bezoar.evaluate import MethodRow, Metric, Scorecard
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Section, Table, Text, Tone
from bezoar.report.numbers import bounds, number, plural


def side_effects(run: Artefacts) -> Section:
    """Perplexity on identity and dialect sentences against their controls; task accuracies."""
    intro = (
        "An edit can lower toxicity by making the model worse at writing about, or like, some "
        "people. The excess is the factor by which perplexity rose more on such sentences than on "
        "comparable others: 1 is even-handed, 1.1 means that the group pays 10 % more."
    )
    card = run.scorecard
    blocks: list[Block] = []
    if card is not None:
        found = (_excess(card), _tasks(card), _guessed(card))
        blocks = [block for block in found if block is not None]
    if not blocks:
        blocks = [Text("This run measured no side effects and no capability.", "muted")]
    return Section("side-effects", "Side effects and capability", intro, tuple(blocks))


def _excess(card: Scorecard) -> Table | None:
    return _grid(card, "excess:", "Excess rise of perplexity by group, with 95 % intervals.")


def _tasks(card: Scorecard) -> Table | None:
    return _grid(
        card,
        "task:",
        "Capability: share of items solved, with 95 % intervals; the note of a method is its "
        "paired change against the no-op and how many answers turned right or wrong, where 0 means "
        "that no item changed, not that none could. Chance is what guessing earns.",
    )


def _guessed(card: Scorecard) -> Text | None:
    """The tasks on which there was nothing to lose."""
    base = card.row("no-op", "no-op").metrics.values()
    names = [metric.name.removeprefix("task:") for metric in base if at_chance(metric)]
    if not names:
        return None
    return Text(
        f"Without an edit the model is no better than chance on {', '.join(names)}: that no edit "
        "makes it worse there says nothing.",
        "muted",
    )


def at_chance(metric: Metric) -> bool:
    """Whether the interval of a task's accuracy reaches what guessing earns."""
    if metric.chance is None:
        return False
    return metric.low <= metric.chance if metric.chance else not metric.value


def _grid(card: Scorecard, family: str, caption: str) -> Table | None:
    rows = [row for row in card.rows if any(name.startswith(family) for name in row.metrics)]
    names = list(dict.fromkeys(n for row in rows for n in row.metrics if n.startswith(family)))
    if not names:
        return None
    first = {name: next(r.metrics[name] for r in rows if name in r.metrics) for name in names}
    columns = ("variant", *(_heading(first[name], family) for name in names))
    protocols = ", ".join(sorted({metric.protocol for metric in first.values()}))
    cells: list[tuple[Cell | str, ...]] = [
        (row.label, *(_cell(row, name) for name in names)) for row in rows
    ]
    return Table(f"{caption} Protocol: {protocols}.", columns, tuple(cells))


def _heading(metric: Metric, family: str) -> str:
    chance = f", chance {metric.chance:.0%}" if metric.chance else ""
    return f"{metric.name.removeprefix(family)} (n = {metric.n:,}{chance})"


def _cell(row: MethodRow, name: str) -> Cell:
    metric = row.metrics.get(name)
    if metric is None:
        return Cell("–", "", "muted")
    note = bounds(metric.low, metric.high)
    if row.kind in ("base", "no-op"):
        return Cell(number(metric.value), note, "muted")
    change = row.change.get(name)
    if change is not None:
        note = f"{number(change.value, signed=True)} {bounds(change.low, change.high, signed=True)}"
        turned = row.change.get(name.replace("task:", "changed:"))
        if turned is not None and name.startswith("task:"):
            note += f", {plural(round(turned.value), 'answer')} changed"
        return Cell(number(metric.value), note, _tone(change, 0.0))
    return Cell(number(metric.value), note, _tone(metric, 1.0))


def _tone(metric: Metric, neutral: float) -> Tone:
    """Bad where the interval lies wholly on the worse side."""
    worse = metric.high < neutral if metric.higher_is_better else metric.low > neutral
    return "bad" if worse and not metric.identity else ""
