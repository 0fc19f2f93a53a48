"""From the contents of a file to columns: delimited text, JSON, JSON lines, parquet, plain lines.

Nothing is skipped in silence: blank lines are counted, and what cannot be read is an error that
names its row and its line.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bezoar.corpus.table import Table, counted, listed, quoted, row_at
from bezoar.errors import DataError

TEXT_COLUMN = "text"
"""The column that a plain text file's lines are read into."""
BLANK = "blank line"
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


def read_lines(text: str, place: str) -> Table:
    """Every line is a row, blank ones too: prose is read as it stands."""
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(line.strip() for line in lines):
        raise DataError(f"{place} is empty: no line has any text.", hint="Is it the right file?")
    return Table({TEXT_COLUMN: lines}, place, lines=tuple(range(1, len(lines) + 1)))


def read_delimited(text: str, place: str, delimiter: str) -> Table:
    """Rows of fields under a line of names.

    The delimiter is taken from the header where the expected one does not occur in it.
    """
    header, begun, delimiter, notes = _header(text, place, delimiter)
    blank = begun.blank
    rows: list[list[str]] = []
    lines: list[int] = []
    # newline="" is the csv module's rule: line breaks inside quotes stay as they are.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    started = begun.line
    with _long_fields():
        try:
            while reader.line_num + 1 < begun.line:
                next(reader)
            for row in reader:
                where = row_at(len(rows), started)
                if row and len(row) != len(header):
                    raise DataError(
                        f"{place}, {where}: {counted(len(row), 'field')}, the header has "
                        f"{len(header)} ({listed(header, 8)}).",
                        hint="A field that holds the delimiter or a line break must be quoted.",
                    )
                if row:
                    rows.append(row)
                    lines.append(started)
                else:
                    blank += 1
                started = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{place}, {row_at(len(rows), started)}: broken quotes: {error}.",
                hint="The row that begins there has an unclosed or unescaped quote; a quote inside "
                'a quoted field is written twice ("").',
            ) from error
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    return Table(columns, place, "", tuple(lines), {BLANK: blank} if blank else {}, notes)


def _header(
    text: str, place: str, delimiter: str
) -> tuple[list[str], _Below, str, tuple[str, ...]]:
    """Names, what is below them, the delimiter, and a note if it is not the expected one."""
    header, below = _names(text, place, delimiter)
    notes: tuple[str, ...] = ()
    if len(header) == 1:
        for other, words in _DELIMITERS.items():
            if other in header[0] and other != delimiter:
                delimiter, notes = other, (f"fields are separated by {words}",)
                header, below = _names(text, place, delimiter)
                break
    if not header:
        raise DataError(f"{place} is empty.", hint="It needs a header and a row per text.")
    _refuse_twice(header, place)
    return header, below, delimiter, notes


class _Below(NamedTuple):
    """The line below the header, and the blank lines above it."""

    line: int
    blank: int


def _names(text: str, place: str, delimiter: str) -> tuple[list[str], _Below]:
    header: list[str] = []
    blank = -1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    with _long_fields():
        try:
            while not header and (row := next(reader, None)) is not None:
                header, blank = row, blank + 1
        except csv.Error as error:
            raise DataError(
                f"{place}, header (line {max(1, reader.line_num)}): broken quotes: {error}.",
                hint="The first line names the columns.",
            ) from error
    return header, _Below(reader.line_num + 1, blank)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the csv module's limit of 128 KiB a field, which is global, for one reading."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _refuse_twice(names: list[str], place: str) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        where = ", ".join(str(i) for i, name in enumerate(names, start=1) if name == twice[0])
        raise DataError(
            f"{place} names a column twice: {quoted(twice[0])} is column {where} of {len(names)}.",
            hint="Rename or remove one of them.",
        )


def read_objects(text: str, place: str, *, whole: bool) -> Table:
    """JSON objects, one a line, or (``whole``) one list of them; nested ones as dotted columns."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    pieces = _whole(text, place) if whole else _by_line(text, place)
    for line, parsed in pieces:
        where = row_at(len(rows), None if whole else line)
        if not isinstance(parsed, dict):
            hint = "A row is an object with a key per column."
            if not whole and isinstance(parsed, list):
                hint = "If the file is one JSON list, name it .json."
            raise DataError(f"{place}, {where}: {quoted(parsed)}, not a JSON object.", hint=hint)
        rows.append(_flat(parsed, f"{place}, {where}"))
        lines.append(line)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise DataError(f"{place} is empty.", hint="It needs an object per text.")
    blank = 0 if whole else text.removesuffix("\n").count("\n") + 1 - len(rows)
    return Table(
        {name: [row.get(name) for row in rows] for name in names},
        place,
        lines=None if whole else tuple(lines),
        skipped={BLANK: blank} if blank else {},
    )


def _by_line(text: str, place: str) -> Iterator[tuple[int, Any]]:
    row = 0
    # Not splitlines(): a JSON string may hold U+2028 and its like unescaped.
    for line, piece in enumerate(text.split("\n"), start=1):
        if piece.strip():
            yield line, _json(piece, f"{place}, {row_at(row, line)}", whole=False)
            row += 1


def _whole(text: str, place: str) -> Iterator[tuple[int, Any]]:
    if not text.strip():
        return
    parsed = _json(text, place, whole=True)
    if isinstance(parsed, dict) and all(isinstance(v, (dict, list)) for v in parsed.values()):
        raise DataError(
            f"{place} holds one object ({listed(parsed, 4)}), not a list of rows.",
            hint='Write it as [{"text": …, "label": …}, …], or as JSON lines (.jsonl).',
        )
    yield from enumerate(parsed if isinstance(parsed, list) else [parsed], start=1)


def _json(piece: str, where: str, *, whole: bool) -> Any:
    """One JSON value; ``where`` names its row, or the file if it is the ``whole`` of it."""
    try:
        return json.loads(piece, object_pairs_hook=lambda pairs: _once(pairs, where))
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if whole else ""
        begin = max(0, error.pos - 20)
        end = error.pos >= len(piece.rstrip())
        seen = "at its end" if end else f"near {quoted(piece[begin : error.pos + 20])}"
        raise DataError(
            f"{where}{line}, column {error.colno}: not JSON: {error.msg}, {seen}.",
            hint=_json_hint(whole, error.msg),
        ) from error
    except RecursionError as error:
        raise DataError(
            f"{where}: JSON nested too deeply.", hint="Cells are plain values."
        ) from error
    except ValueError as error:  # Python refuses integers of thousands of digits
        raise DataError(
            f"{where}: a number of too many digits.", hint="Write it as a string, or leave it out."
        ) from error


def _json_hint(whole: bool, message: str) -> str:
    if not whole:
        return "Each line must be one whole object: look for a cut-off line or a missing quote."
    if message == "Extra data":
        return "If every line is an object of its own, name the file .jsonl."
    return "Look there for a missing quote, comma or bracket."


def _once(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise DataError(f"{where}: the key {quoted(twice)} is there twice.", hint="Keep one.")
    return row


def _flat(row: dict[str, Any], where: str) -> dict[str, Any]:
    """Nested objects as dotted columns, one level deep, as parquet structs are read."""
    pairs: list[tuple[str, Any]] = []
    for key, value in row.items():
        if isinstance(value, dict):
            pairs += [(f"{key}.{inner}", cell) for inner, cell in value.items()]
        else:
            pairs.append((key, value))
    return _once(pairs, where)


def read_parquet(data: bytes, place: str) -> Table:
    """Columns of a parquet file; structs as dotted columns."""
    try:
        table = pq.read_table(pa.BufferReader(data))
        _refuse_twice(table.column_names, place)
        columns: list[tuple[str, list[Any]]] = []
        for name in table.column_names:
            if pa.types.is_struct(table[name].type):
                rows = [cell or {} for cell in table[name].to_pylist()]
                inner = [f.name for f in table[name].type]
                columns += [(f"{name}.{key}", [row.get(key) for row in rows]) for key in inner]
            else:
                columns.append((name, table[name].to_pylist()))
    except (OSError, pa.ArrowException, ValueError, OverflowError, MemoryError, KeyError) as error:
        said = " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
        raise DataError(
            f"{place} is not readable parquet: {said}.",
            hint="Write the file again: it is cut off, damaged or no parquet.",
        ) from error
    _refuse_twice([name for name, _ in columns], place)
    if not columns or not table.num_rows:
        raise DataError(f"{place} has no rows.", hint="It needs a row per text.")
    return Table(dict(columns), place)
