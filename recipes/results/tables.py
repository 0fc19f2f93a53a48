"""Tables that a run's page exports, as Markdown."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

_LEFT_OUT = ("writes, after one prompt", "seconds to fit", "MiB to fit")
"""Columns of texts, and of what another run would not find again."""


def table(path: Path, wanted: tuple[str, ...] | None) -> Iterator[str]:
    """A CSV file of the page as Markdown, each number with its bounds in one cell."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    held = [
        name
        for name in (rows[0] if rows else ())
        if not name.endswith((", low", ", high", ", note"))
    ]
    names = [n for n in (held if wanted is None else wanted) if n in held and n not in _LEFT_OUT]
    yield "| " + " | ".join(names) + " |"
    yield "|---" * len(names) + "|"
    for row in rows:
        yield "| " + " | ".join(_cell(row, name) for name in names) + " |"


def _cell(row: dict[str, str], name: str) -> str:
    value = _number(row[name])
    low, high, note = (row.get(f"{name}, {part}") or "" for part in ("low", "high", "note"))
    if low and high:
        value += f" [{_number(low)}, {_number(high)}]"
    told = f"{value} ({note})" if note and name in ("variant", "choice") else value
    return told.replace("|", "\\|")


def _number(text: str) -> str:
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text
