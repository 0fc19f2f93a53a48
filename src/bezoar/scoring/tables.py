"""Reading a table of texts from CSV, JSON lines or parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from bezoar.errors import DataError, did_you_mean

_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
    ".parquet": pl.read_parquet,
}


def read_table(path: str | Path, columns: Iterable[str] = ()) -> pl.DataFrame:
    """Read a table and make sure that it has the columns named.

    Raises:
        DataError: if the file is missing, of another format, damaged, or lacks a column.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path} is not a table that can be read.",
            hint=f"Give one of {', '.join(sorted(_READERS))}.",
        )
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        frame = reader(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from error
    for column in columns:
        if column not in frame.columns:
            raise DataError(
                f"{path} has no column {column!r}.", hint=did_you_mean(column, frame.columns)
            )
    return frame
