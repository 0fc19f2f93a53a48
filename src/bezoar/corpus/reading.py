"""Files and hub datasets as plain columns: CSV, TSV, JSON, JSON lines, parquet, text.

Nothing is skipped: a row that cannot be read is an error that names its line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bezoar.errors import DataError, did_you_mean

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
TEXT_COLUMN = "text"
"""The column that a plain text file's lines are read into."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length; ``sha256`` is of the file's bytes."""

    columns: dict[str, list[Any]]
    place: str
    sha256: str = ""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def column(self, name: str) -> list[Any]:
        """One column.

        Raises:
            DataError: naming the columns there are.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.place} has no column {name!r}; it has {_listed(self.columns)}.",
                hint=did_you_mean(name, self.columns),
            )
        return self.columns[name]


def _listed(names: Any) -> str:
    return ", ".join(repr(str(name)) for name in names) or "none"


def read_table(path: Path) -> Table:
    """Read a file whole.

    Raises:
        DataError: if it is missing, of an unknown kind, empty, or broken (with the line).
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.", hint=_near_files(path))
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path} is none of {', '.join(SUFFIXES)}.", hint="Rename or convert it.")
    data = path.read_bytes()
    if suffix == ".parquet":
        columns = _parquet(data, path)
    elif suffix in (".csv", ".tsv"):
        columns = _delimited(_decode(data, path), path, "\t" if suffix == ".tsv" else ",")
    elif suffix == ".txt":
        lines = _decode(data, path).removesuffix("\n").split("\n")
        columns = {TEXT_COLUMN: [line.removesuffix("\r") for line in lines]}
    else:
        columns = _objects(_decode(data, path), path, whole=suffix == ".json")
    return Table(columns, str(path), hashlib.sha256(data).hexdigest())


def find_file(path: Path, preferred: tuple[str, ...]) -> Path:
    """The file meant by a path: itself, or the one in a folder that has a preferred name.

    Raises:
        DataError: if the folder holds none of them and not exactly one readable file.
    """
    if not path.is_dir():
        return path
    for name in preferred:
        if (path / name).is_file():
            return path / name
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if len(files) == 1:
        return files[0]
    raise DataError(
        f"Folder {path} holds {len(files)} readable files ({_listed(f.name for f in files[:8])}).",
        hint="Name the file itself.",
    )


def _near_files(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {path.parent} either."
    return did_you_mean(path.name, (file.name for file in path.parent.iterdir()))


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8.",
            hint="Convert the file first, for example with iconv -f latin1 -t utf-8.",
        ) from error


def _parquet(data: bytes, path: Path) -> dict[str, list[Any]]:
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is not readable parquet: {error}.") from error
    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        if pa.types.is_struct(table[name].type):
            rows = [cell or {} for cell in table[name].to_pylist()]
            inner = [f.name for f in table[name].type]
            columns |= {f"{name}.{key}": [row.get(key) for row in rows] for key in inner}
        else:
            columns[name] = table[name].to_pylist()
    return columns


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the csv module's limit of 128 KiB a field, which is global, for one reading."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _delimited(text: str, path: Path, delimiter: str) -> dict[str, list[Any]]:
    # newline="" is the csv module's rule: line breaks inside quotes stay as they are.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    started = 1
    with _long_fields():
        try:
            header = next(reader, [])
            started = reader.line_num + 1
            for row in reader:
                if row and len(row) != len(header):
                    raise DataError(
                        f"{path}, line {started}: {len(row)} fields, the header has "
                        f"{len(header)} ({_listed(header[:8])}).",
                        hint="A field that holds the delimiter or a line break must be quoted.",
                    )
                rows += [row] if row else []
                started = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{path}, row starting at line {started}: {error}.",
                hint="Look for an unclosed or unescaped quote there.",
            ) from error
    if not header:
        raise DataError(f"{path} is empty.")
    if len(set(header)) != len(header):
        raise DataError(f"{path} names a column twice: {_listed(header)}.")
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _objects(text: str, path: Path, *, whole: bool) -> dict[str, list[Any]]:
    rows = list(_parsed_objects(text, path, whole))
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    if not names:
        raise DataError(f"{path} is empty.")
    return {name: [row.get(name) for _, row in rows] for name in names}


def _parsed_objects(text: str, path: Path, whole: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, parsed in _parsed(text, path, whole):
        if not isinstance(parsed, dict):
            raise DataError(f"{path}, line {line}: {type(parsed).__name__}, not a JSON object.")
        yield line, _flat(parsed)


def _parsed(text: str, path: Path, whole: bool) -> Iterator[tuple[int, Any]]:
    # Not splitlines(): a JSON string may hold U+2028 and its like unescaped.
    pieces = [(1, text)] if whole else enumerate(text.split("\n"), start=1)
    for line, piece in pieces:
        if not piece.strip():
            continue
        try:
            parsed = json.loads(piece)
        except json.JSONDecodeError as error:
            where = line + error.lineno - 1
            raise DataError(f"{path}, line {where}: not JSON: {error.msg}.") from error
        except RecursionError as error:
            raise DataError(f"{path}, line {line}: JSON nested too deeply.") from error
        if whole and isinstance(parsed, list):
            yield from enumerate(parsed, start=1)
        else:
            yield line, parsed


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Nested objects as dotted columns, one level deep, as parquet structs are read."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            out |= {f"{key}.{inner}": cell for inner, cell in value.items()}
        else:
            out[key] = value
    return out


def read_hub(spec: str) -> Table:
    """Read ``ID[:CONFIG][@SPLIT]`` through the datasets library.

    Raises:
        DataError: if it cannot be had, or has several splits and none was named.
    """
    import datasets

    name, _, split = spec.partition("@")
    name, _, config = name.partition(":")
    try:
        splits = datasets.get_dataset_split_names(name, config or None)
        if not split and len(splits) > 1:
            raise DataError(
                f"hub:{name} has several splits: {_listed(splits)}.",
                hint=f"Name one, as in hub:{spec}@{splits[0]}.",
            )
        loaded = datasets.load_dataset(name, config or None, split=split or splits[0])
    except (OSError, ValueError, RuntimeError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(
            f"hub:{spec} cannot be read: {said}.",
            hint="Check the id, the network and HF_HUB_OFFLINE.",
        ) from error
    flat = loaded.flatten()
    return Table({key: list(flat[key][:]) for key in flat.column_names}, f"hub:{spec}")
