"""Files and hub datasets as plain columns: CSV, TSV, JSON, JSON lines, parquet, text."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import replace
from pathlib import Path

from bezoar.corpus.formats import read_delimited, read_lines, read_objects, read_parquet
from bezoar.corpus.table import Table, counted, listed
from bezoar.errors import DataError, nearest

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
_PACKED = {
    b"\x1f\x8b": ("gzip-compressed", "Decompress it first: gunzip FILE."),
    b"BZh": ("bzip2-compressed", "Decompress it first: bunzip2 FILE."),
    b"\xfd7zXZ": ("xz-compressed", "Decompress it first: unxz FILE."),
    b"\x28\xb5\x2f\xfd": ("zstandard-compressed", "Decompress it first: unzstd FILE."),
    b"PK\x03\x04": ("a zip archive or a spreadsheet", "Unpack it, or save the sheet as CSV."),
    b"PAR1": ("parquet", "Name it .parquet."),
    b"SQLite format 3": ("an SQLite database", "Save the table as CSV."),
}
# The longer marks first: UTF-32 LE begins like UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_table(path: Path) -> Table:
    """Read a file whole.

    Raises:
        DataError: if it is missing, of an unknown kind, empty, or broken (with row and line).
    """
    data = _bytes(path)
    place, suffix = str(path), path.suffix.lower()
    note = ""
    if suffix == ".parquet":
        table = read_parquet(data, place)
    else:
        text, note = _decode(data, place)
        if suffix in (".csv", ".tsv"):
            table = read_delimited(text, place, "\t" if suffix == ".tsv" else ",")
        elif suffix == ".txt":
            table = read_lines(text, place)
        else:
            table = read_objects(text, place, whole=suffix == ".json")
    if not len(table):
        raise DataError(
            f"{place} has no rows: only a header ({listed(table.columns, 8)}).",
            hint="It needs a row per text.",
        )
    notes = (note, *table.notes) if note else table.notes
    return replace(table, sha256=hashlib.sha256(data).hexdigest(), notes=notes)


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise DataError(f"There is no file {path}.", hint=_near_files(path))
        if path.suffix.lower() not in SUFFIXES:
            hint = (_packed(path.read_bytes()) or ("", "Convert it, or rename it."))[1]
            raise DataError(f"{path} is none of {', '.join(SUFFIXES)}.", hint=hint)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        said = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read: {said}.", hint="Check the path.") from error


def find_file(path: Path, preferred: tuple[str, ...]) -> Path:
    """The file meant by a path: itself, or the one in a folder that has a preferred name.

    Raises:
        DataError: if the folder holds none of them and not exactly one readable file.
    """
    if not _is_folder(path):
        return path
    for name in preferred:
        if (path / name).is_file():
            return path / name
    there = sorted(path.iterdir())
    files = [file for file in there if file.suffix.lower() in SUFFIXES and file.is_file()]
    if len(files) == 1:
        return files[0]
    names = [file.name for file in files or there]
    hint = "Name the file itself." if files else f"Readable are {', '.join(SUFFIXES)}."
    if len(files) > 1 and len({file.suffix for file in files}) == 1:
        hint = "Name the file itself; if they are shards of one set, join them into one file first."
    raise DataError(
        f"Folder {path} holds {counted(len(files), 'readable file')} ({listed(names, 8)}).",
        hint=hint,
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False  # too long a name, or a null character: reading it says so


def _near_files(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {path.parent} either."
    near = nearest(path.name, (file.name for file in path.parent.iterdir()))
    return (
        f"Did you mean {' or '.join(str(path.parent / name) for name in near)}?"
        if near
        else (f"Looked in {path.parent.resolve()}.")
    )


def _packed(data: bytes) -> tuple[str, str] | None:
    """What a file is instead of text, and what to do about it."""
    return next((said for magic, said in _PACKED.items() if data.startswith(magic)), None)


def _decode(data: bytes, place: str) -> tuple[str, str]:
    """The text of a file, and a note if it is in another encoding than UTF-8."""
    if packed := _packed(data):
        raise DataError(f"{place} is {packed[0]}, not text.", hint=packed[1])
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        seen = f"byte 0x{data[error.start]:02x}" if error.start < len(data) else "its end"
        line = data[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        hint = "Convert the file first, for example with iconv -f latin1 -t utf-8."
        if name != "UTF-8":
            hint = f"It begins with the byte order mark of {name}: is it cut off or damaged?"
        raise DataError(f"{place}, line {line}: {seen} is not {name}.", hint=hint) from error
    if encoding != "utf-8-sig":
        return text, f"read as {encoding.upper()}, by its byte order mark"
    if 4 * text[:1000].count("\0") > len(text[:1000]):
        raise DataError(
            f"{place} looks like UTF-16 without a byte order mark: it is full of null characters.",
            hint="Convert the file first, for example with iconv -f utf-16le -t utf-8.",
        )
    return text, ""


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
                f"hub:{name} has several splits: {listed(splits)}.",
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
    table = Table({key: list(flat[key][:]) for key in flat.column_names}, f"hub:{spec}")
    if not len(table):
        raise DataError(f"hub:{spec} has no rows.", hint="Name another split.")
    return table
