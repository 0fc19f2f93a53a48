"""What the nouns of this room share: columns of one length, their origin, and a parquet file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bezoar.errors import CorruptArtefact, DataError, several
from bezoar.runs.results import Result, atomic_write, one_line

R = TypeVar("R", bound="Rows")

_METADATA = b"bezoar"
_NOT_COLUMNS = ("name", "origin", "tokenised", "provenance")
_UNREADABLE: tuple[type[Exception], ...] = (OSError, MemoryError, pa.ArrowException, DataError)
_UNREADABLE += (AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Origin(Result):
    """Where texts came from, for the record of a run.

    Attributes:
        spec: what was asked for, its path relative to the data root.
        sha256: digest of the file's bytes ("" for a hub dataset).
        notes: what was guessed, repaired, left out or sampled while reading.
        rows: rows that were read; 0 if the texts were not read from rows.
        left_out: how many of them are no longer there, by reason. Where rows were read, the texts
            and the counts of this account for every one of them.
    """

    spec: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()
    rows: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    def without(self, left_out: Mapping[str, int], *notes: str, rows: int = 0) -> Origin:
        """This origin after more rows were left out of the ``rows`` there were."""
        counts = dict(self.left_out)
        for reason, n in left_out.items():
            counts[reason] = counts.get(reason, 0) + n
        return replace(
            self,
            notes=(*self.notes, *filter(None, notes)),
            rows=self.rows or rows,
            left_out={reason: n for reason, n in counts.items() if n},
        )


class Rows:
    """What the nouns share: length, selection, a content hash and a parquet file."""

    __slots__ = ()
    texts: tuple[str, ...]
    name: str
    origin: Origin

    __repr__ = one_line

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def hash(self) -> str:
        """16 hex digits that change with any cell of any column, not with name or origin."""
        digest = hashlib.sha256(type(self).__name__.encode())
        for name, values in self._columns().items():
            cells = values.tolist() if isinstance(values, np.ndarray) else values
            digest.update(json.dumps([name, cells], ensure_ascii=True).encode())
        return digest.hexdigest()[:16]

    def take(
        self: R,
        rows: Sequence[int] | np.ndarray,
        *,
        note: str = "",
        left_out: str | Mapping[str, int] = "not taken",
    ) -> R:
        """The given rows, in the given order.

        Args:
            rows: row numbers, or one bool per row.
            note: recorded in the origin.
            left_out: why the others are not taken, or how many for which reason.
        """
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        picked: dict[str, Any] = {}
        for name, values in self._columns().items():
            is_array = isinstance(values, np.ndarray)
            picked[name] = values[index] if is_array else tuple(values[i] for i in index)
        if isinstance(left_out, str):
            left_out = {left_out: len(self) - len(np.unique(index))}
        picked["origin"] = self.origin.without(left_out, note, rows=len(self))
        return dataclasses.replace(self, **picked)  # type: ignore[type-var]

    def save(self, path: str | Path) -> None:
        """Write the columns as parquet, whole or not at all."""
        path = Path(path)
        columns = {k: pa.array(v) for k, v in self._columns().items()}
        table = pa.table(columns).replace_schema_metadata({_METADATA: self._header()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        atomic_write(path, sink.getvalue().to_pybytes())

    @classmethod
    def load(cls: type[R], path: str | Path) -> R:
        """Read what ``save`` wrote.

        Raises:
            CorruptArtefact: if the file is missing, damaged, altered, or of another kind.
        """
        path = Path(path)
        try:
            table = pq.read_table(path)
            header = json.loads(table.schema.metadata[_METADATA])
            kind, digest = header.pop("kind"), header.pop("hash")
            header["origin"] = Origin(**header["origin"] | {"notes": (*header["origin"]["notes"],)})
            if kind != cls.__name__:
                raise CorruptArtefact(f"{path} holds {kind}, not {cls.__name__}.")
            columns = {name: cls._cells(table[name]) for name in table.column_names}
            loaded = cls(**columns, **header)
        except _UNREADABLE as error:
            said = " ".join(str(error).split())[:200].rstrip(".")
            raise CorruptArtefact(
                f"{path} cannot be read as {cls.__name__}: {said}.",
                hint="Copy it again, or run again what wrote it.",
            ) from error
        if loaded.hash != digest:
            raise CorruptArtefact(
                f"{path} was altered: its contents hash to {loaded.hash}, its header says "
                f"{digest}.",
                hint="Copy it again, or run again what wrote it.",
            )
        return loaded

    @classmethod
    def _cells(cls, column: pa.ChunkedArray) -> np.ndarray | tuple[Any, ...]:
        """A column as this noun holds it."""
        if pa.types.is_string(column.type) or pa.types.is_null(column.type):
            return tuple(column.to_pylist())
        return np.asarray(column.to_numpy())

    def _header(self) -> bytes:
        names = [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        header = {name: getattr(self, name) for name in names if name in _NOT_COLUMNS}
        header |= {"kind": type(self).__name__, "hash": self.hash}
        header["origin"] = dataclasses.asdict(self.origin)
        return json.dumps(header, sort_keys=True).encode()

    def _columns(self) -> dict[str, Any]:
        names = [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        columns = {name: getattr(self, name) for name in names if name not in _NOT_COLUMNS}
        return {name: values for name, values in columns.items() if values is not None}

    def _check(self) -> None:
        """Make every column a tuple or a read-only array of one length."""
        object.__setattr__(self, "texts", tuple(several(self.texts, "texts")))
        for name, values in self._columns().items():
            if len(values) != len(self):
                raise DataError(
                    f"Column {name!r} has {len(values)} rows, the texts have {len(self)}.",
                    hint="Every column needs one entry per text.",
                )
            if isinstance(values, np.ndarray):
                frozen = values.copy()
                frozen.setflags(write=False)
                object.__setattr__(self, name, frozen)
            else:
                object.__setattr__(self, name, tuple(values))
        check_texts(self.texts)


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what is no text, or is text that no file and no tokenizer can hold.

    Raises:
        DataError: naming the first row that is no string or has a lone surrogate.
    """
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"Text {row} is {type(text).__name__} {text!r:.40}, not a string.",
                hint="Leave it out, or give it as a string.",
            )
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        for row, text in enumerate(texts):
            if any("\ud800" <= char <= "\udfff" for char in text):
                raise DataError(
                    f"Text {row} holds a lone surrogate, which is no character: {text[:40]!a}.",
                    hint="load_corpus() replaces them by U+FFFD.",
                ) from None
