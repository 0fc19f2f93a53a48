"""What `explore` saw, on one screen of eighty columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bezoar.corpus.explore import Exploration

_SOURCES = 12
_WORDS = 12


def exploration_table(seen: Exploration) -> RenderableType:
    """Sizes, sources, lengths, what gives the labels away, telling words, and warnings.

    Args:
        seen: its words are shown as they are; `bezoar.masking` masks them where they are printed.
    """
    head = f"{seen.name}: {seen.n:,} texts, {seen.positive_share:.1%} of label 1"
    repeats = seen.near_repeats
    return Group(
        Text(head, style="bold"),
        Text(_rows(seen)),
        Text(f"{repeats.across_labels:,} of label 1 nearly repeat one of label 0"),
        *(Text(f"· {note}", style="dim") for note in seen.notes),
        Text(),
        _sources(seen),
        Text(),
        _lengths(seen),
        Text(),
        _shortcuts(seen),
        Text(),
        *_words(seen),
        *(Text(f"! {warning}", style="yellow") for warning in seen.warnings),
    )


def _rows(seen: Exploration) -> str:
    """Every row that was read: kept, or left out for a reason."""
    left = ", ".join(f"{n:,} {reason}" for reason, n in seen.left_out.items())
    return f"{seen.rows:,} rows read, {seen.n:,} kept" + (f"; left out: {left}" if left else "")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=number > 0)
    return table


def _sources(seen: Exploration) -> Table:
    sizes: dict[str, list[int]] = {}
    characters: dict[str, list[float]] = {}
    for count in seen.counts:
        sizes.setdefault(count.source, [0, 0])[count.label] += count.n
        long = characters.setdefault(count.source, [0.0, 0.0])
        long[count.label] += count.n * count.mean_characters
    table = _table("source", "label 0", "label 1", "characters 0", "characters 1")
    largest = sorted(sizes, key=lambda source: (-sum(sizes[source]), source))
    for source in largest[:_SOURCES]:
        n = sizes[source]
        means = (f"{c / k:.0f}" if k else "" for c, k in zip(characters[source], n, strict=True))
        table.add_row(source or "(not named)", *(f"{k:,}" for k in n), *means)
    if len(largest) > _SOURCES:
        rest = [sum(sizes[s][label] for s in largest[_SOURCES:]) for label in (0, 1)]
        table.add_row(f"{len(largest) - _SOURCES} more", *(f"{k:,}" for k in rest), "", "")
    return table


def _lengths(seen: Exploration) -> Table:
    table = _table(
        "length in", "median 0", "median 1", "mean 0", "mean 1", "longest 0", "longest 1"
    )
    for unit in seen.lengths:
        cells = [f"{value:.0f}" for value in (*unit.median, *unit.mean)]
        table.add_row(unit.unit, *cells, *(f"{value:,}" for value in unit.largest))
    return table


def _shortcuts(seen: Exploration) -> Table:
    table = _table("told apart by", "AUROC")
    for shortcut in seen.shortcuts:
        table.add_row(shortcut.cue, str(shortcut.auroc))
    return table


def _words(seen: Exploration) -> Iterator[Text]:
    for label in (1, 0):
        marks = seen.vocabulary.marks[label][:_WORDS]
        yield Text(f"Words of label {label}: {', '.join(mark.word for mark in marks)}")
