"""A table as it was read: columns, where each row stands in its file, and what was passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bezoar.errors import DataError, did_you_mean

At = Callable[[int], str]
"""From a row (from 0) to how a message names it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length.

    Attributes:
        columns: cells by column name.
        place: the file or hub dataset, for messages.
        sha256: digest of the file's bytes ("" for a hub dataset).
        lines: line of the file on which each row begins, where the format has lines.
        skipped: rows that hold no cell, counted by reason.
        notes: what was guessed while reading.
    """

    columns: dict[str, list[Any]]
    place: str
    sha256: str = ""
    lines: tuple[int, ...] | None = None
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def at(self, row: int) -> str:
        """How messages name a row (from 0): its number from 1, and its line if there is one."""
        return row_at(row, None if self.lines is None else self.lines[row])

    def column(self, name: str) -> list[Any]:
        """One column.

        Raises:
            DataError: naming the columns there are.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.place} has no column {name!r}; it has {listed(self.columns)}.",
                hint=did_you_mean(name, [c for c in self.columns if len(c) <= 60])
                or "Look at the header.",
            )
        return self.columns[name]


def row_at(row: int, line: int | None = None) -> str:
    """``row 2 (line 5)``: rows are counted from 1 below the header, lines from 1 in the file."""
    return f"row {row + 1}" + (f" (line {line})" if line is not None else "")


def rows_at(rows: Sequence[int], at: At, shown: int = 3) -> str:
    """The first few of some rows."""
    return ", ".join(map(at, rows[:shown])) + (", …" if len(rows) > shown else "")


def listed(names: Iterable[object], shown: int = 12) -> str:
    """Names in quotes, the first dozen of them."""
    said = [quoted(name) for name in names]
    return ", ".join(said[:shown]) + (", …" if len(said) > shown else "") or "none"


def quoted(value: object, width: int = 40) -> str:
    """A value as it stands in a message, on one line and cut; of nested ones only the kind."""
    if isinstance(value, (dict, list, tuple, set)):
        return f"a {type(value).__name__} of {len(value)}"  # its repr may nest too deeply
    if isinstance(value, (str, bytes)) and len(value) > width:
        return f"{value[:width]!r}… ({len(value):,} long)"
    return repr(value) if len(repr(value)) <= 2 * width else f"{repr(value)[:width]}…"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 row``, ``3 rows``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
