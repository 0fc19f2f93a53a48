"""Blocks that carry a number of the paper: captions, keys, and the index of them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bezoar.evaluate import Metric
from bezoar.report.blocks import (
    Block,
    Cell,
    Fold,
    Index,
    Picture,
    Section,
    Table,
    Text,
    TokenRows,
    Tone,
)
from bezoar.report.dpo.artefacts import Study
from bezoar.report.dpo.paper import FIGURES, NAME, TABLES
from bezoar.report.numbers import bounds, number, percent
from bezoar.stats import Interval

Keyed = Picture | Table | TokenRows


def figure(
    n: int, name: str, drawn: Any, ours: str, description: str, *, also: str = ""
) -> Picture:
    """A picture under its number.

    Args:
        n: of the paper's figure.
        name: of its files, after the number.
        drawn: the plotly figure.
        ours: what it shows here, and what differs from the paper's.
        description: for who cannot see it.
        also: what tells a second picture of the same number from the first.
    """
    caption = f"Figure {n} of {NAME}{f' ({also})' if also else ''}: {FIGURES[n]}. {ours}"
    return Picture(drawn, caption, description, f"figure_{n}_{name}")


def table_caption(n: int, ours: str) -> str:
    """The caption of a table under its number."""
    return f"Table {n} of {NAME}: {TABLES[n]}. {ours}"


def interval_cell(
    seen: Interval | Metric | None, *, signed: bool = False, share: bool = False, tone: Tone = ""
) -> Cell:
    """A value over its bounds; the numbers go into the table's file."""
    if seen is None:
        return Cell("–", "", "muted")
    numbers = (seen.value, seen.low, seen.high)
    if share:
        low, high = (percent(bound, signed=signed) for bound in (seen.low, seen.high))
        return Cell(percent(seen.value, signed=signed), f"[{low}, {high}]", tone, numbers)
    note = bounds(seen.low, seen.high, signed=signed)
    return Cell(number(seen.value, signed=signed), note, tone, numbers)


def number_cell(value: float | None, *, signed: bool = False, digits: int | None = None) -> Cell:
    """A number without an interval."""
    if value is None:
        return Cell("–", "", "muted")
    return Cell(number(value, signed=signed, digits=digits), "", "", (value,))


def share_cell(value: float | None, *, signed: bool = False) -> Cell:
    """A share as per cent; the file has it as a share."""
    if value is None:
        return Cell("–", "", "muted")
    return Cell(percent(value, signed=signed), "", "", (value,))


def missing(study: Study, part: str, words: str) -> Text:
    """That a part of the comparison is not there, and why, if the run knows."""
    why = study.skipped.get(part, "")
    return Text(f"{words} {why}".strip(), "muted")


def keyed(sections: Sequence[Section]) -> list[Keyed]:
    """Every block with a key, in the order of the page, folded ones too."""
    found: list[Keyed] = []
    for section in sections:
        found += _keyed(section.blocks)
    return found


def _keyed(blocks: Sequence[Block]) -> list[Keyed]:
    found: list[Keyed] = []
    for block in blocks:
        if isinstance(block, Fold):
            found += _keyed(block.blocks)
        elif isinstance(block, (Picture, Table, TokenRows)) and block.key:
            found.append(block)
    return found


def index(sections: Sequence[Section]) -> Index:
    """All tables and figures of the paper, those that are missing here without a link."""
    there = [block.key for block in keyed(sections)]
    items = [
        _item(f"{kind} {n}", f"{kind.lower()}_{n}", what, there)
        for kind, listed in (("Figure", FIGURES), ("Table", TABLES))
        for n, what in listed.items()
    ]
    return Index(tuple(items))


def _item(name: str, prefix: str, what: str, there: Sequence[str]) -> tuple[str, str, str]:
    key = next((k for k in there if k == prefix or k.startswith(f"{prefix}_")), "")
    if key:
        return name, key, what
    missing = " (a drawing, without data)" if prefix == "figure_3" else " (not in this run)"
    return name, "", what + missing
