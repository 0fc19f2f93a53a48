"""What ``survey`` saw, on a screen of eighty columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bezoar.corpus.explore_lengths import LengthDistribution

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bezoar.corpus.explore_cost import Cost
    from bezoar.corpus.explore_survey import Survey

ROWS = 14
_LANGUAGES = 6
_WORDS = 12


def survey_table(seen: Survey) -> RenderableType:
    """Sizes, sources and categories, lengths, noise, repeats, languages, labels, cost, warnings.

    Args:
        seen: its words are shown as they are; `bezoar.masking` masks them where they are printed.
    """
    told: list[RenderableType] = [Text(_head(seen), style="bold"), Text(_rows(seen))]
    told += [Text(f"· {note}", style="dim") for note in seen.notes]
    told += [Text(), _cells(seen), Text(), _lengths(seen), Text(), *_facts(seen)]
    if seen.labelled is not None:
        told += [Text(), _shortcuts(seen), Text()]
        told += [_balance(seen), Text()] if seen.balance else []
        told += _words(seen)
    if seen.cost is not None:
        told += [Text(), *_cost(seen.cost)]
    if seen.warnings:
        told += [Text(), *(Text(f"! {warning}", style="yellow") for warning in seen.warnings)]
    return Group(*told)


def _head(seen: Survey) -> str:
    labels = "no labels" if seen.ones is None else f"{seen.ones / seen.n:.1%} of label 1"
    return f"{seen.name}: {seen.n:,} texts, {labels}"


def _rows(seen: Survey) -> str:
    left = ", ".join(f"{n:,} {reason}" for reason, n in seen.left_out.items())
    return f"{seen.rows:,} rows read" + (f"; left out: {left}" if left else "")


def _table(*columns: str, words: int = 1) -> Table:
    """A table whose first columns are words, and the others numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        right = number >= words
        table.add_column(name, justify="right" if right else "left", no_wrap=right)
    return table


def _cells(seen: Survey) -> Table:
    categories = any(cell.category for cell in seen.cells)
    names = ("source", "category") if categories else ("source",)
    labels = ("label 1",) if seen.ones is not None else ()
    table = _table(*names, "texts", *labels, "characters", words=len(names))
    ranked = sorted(seen.cells, key=lambda cell: (-cell.n, cell.source, cell.category))
    for cell in ranked[:ROWS]:
        given = (cell.source or "(not named)", cell.category or "(none)")[: len(names)]
        ones = (f"{cell.ones:,}",) if labels else ()
        table.add_row(*given, f"{cell.n:,}", *ones, f"{cell.mean_characters:.0f}")
    if rest := ranked[ROWS:]:
        ones = (f"{sum(cell.ones or 0 for cell in rest):,}",) if labels else ()
        blank = ("",) * (len(names) - 1)
        table.add_row(f"{len(rest)} more", *blank, f"{sum(c.n for c in rest):,}", *ones, "")
    return table


def _lengths(seen: Survey) -> Table:
    table = _table("length in", "mean", "median", "sd", "least", "most")
    for lengths in filter(None, (seen.characters, seen.tokens)):
        table.add_row(*_length_cells(lengths))
    return table


def _length_cells(lengths: LengthDistribution) -> tuple[str, ...]:
    numbers = (f"{x:,.0f}" for x in (lengths.mean, lengths.median, lengths.sd))
    return (lengths.unit, *numbers, f"{lengths.least:,}", f"{lengths.most:,}")


def _facts(seen: Survey) -> Iterator[Text]:
    noise = ", ".join(f"{n:,} {reason}" for reason, n in seen.noise.counts.items())
    asked = f"at least {seen.noise.min_characters} characters, no fragments"
    yield Text(f"noise      {noise or 'none'} ({asked})")
    repeats = seen.repeats
    yield Text(
        f"repeats    {repeats.exact:,} exact, {repeats.near:,} near; {repeats.families:,} "
        f"families, the largest of {max(repeats.largest, 1):,}"
    )
    shown = [f"{count.language} {count.n:,}" for count in seen.languages[:_LANGUAGES]]
    if len(seen.languages) > _LANGUAGES:
        shown.append(f"{len(seen.languages) - _LANGUAGES} more")
    yield Text(f"languages  {', '.join(shown)}")


def _shortcuts(seen: Survey) -> Table:
    table = _table("labels told apart by", "AUROC")
    for shortcut in seen.labelled.shortcuts if seen.labelled is not None else ():
        table.add_row(shortcut.cue, str(shortcut.auroc))
    return table


def _balance(seen: Survey) -> Table:
    table = _table("within source", "texts", "of label 1", "AUROC of length alone")
    for balance in seen.balance[:ROWS]:
        name, share = balance.source or "(not named)", f"{balance.ones / balance.n:.1%}"
        length = "" if balance.length is None else str(balance.length)
        table.add_row(name, f"{balance.n:,}", share, length)
    return table


def _words(seen: Survey) -> Iterator[Text]:
    for label in (1, 0) if seen.labelled is not None else ():
        marks = seen.labelled.vocabulary.marks[label][:_WORDS] if seen.labelled is not None else ()
        yield Text(f"words of label {label}: {', '.join(mark.word for mark in marks)}")


def _cost(cost: Cost) -> Iterator[RenderableType]:
    from bezoar.activations.forecast import size
    from bezoar.runs.progress import duration

    yield Text(f"with {cost.model} ({cost.parameters:,} parameters, timed on {cost.device})")
    table = _table("reading", "rows", "on disk", "time")
    for reading in cost.readings:
        seconds = duration(reading.seconds)
        table.add_row(reading.what, f"{reading.rows:,}", size(reading.bytes), seconds)
    yield table
    yield Text(
        f"memory: {size(cost.memory)} as usual; at least {size(cost.least_ram)} of RAM on a CPU, "
        f"or {size(cost.least_vram)} of VRAM at 16 bits"
    )
