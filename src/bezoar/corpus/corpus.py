"""The nouns of this room: labelled texts, prompts and neutral text, as columns of equal length."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Shaped

from bezoar.errors import CorruptArtefact, DataError
from bezoar.runs.results import Result, atomic_write

R = TypeVar("R", bound="Rows")

_METADATA = b"bezoar"
_NOT_COLUMNS = ("name", "origin", "tokenised")


@dataclass(frozen=True, slots=True)
class Origin(Result):
    """Where texts came from, for the record of a run.

    Attributes:
        spec: what was asked for, its path relative to the data root.
        sha256: digest of the file's bytes ("" for a hub dataset).
        notes: what was guessed, repaired, left out or sampled while reading.
    """

    spec: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()


class Rows:
    """What the three nouns share: length, selection, a content hash and a parquet file."""

    __slots__ = ()
    texts: tuple[str, ...]
    name: str
    origin: Origin

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

    def take(self: R, rows: Sequence[int] | np.ndarray, *, note: str = "") -> R:
        """The given rows, in the given order.

        Args:
            rows: row numbers, or one bool per row.
            note: recorded in the origin.
        """
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        picked: dict[str, Any] = {}
        for name, values in self._columns().items():
            is_array = isinstance(values, np.ndarray)
            picked[name] = values[index] if is_array else tuple(values[i] for i in index)
        if note:
            picked["origin"] = replace(self.origin, notes=(*self.origin.notes, note))
        return dataclasses.replace(self, **picked)  # type: ignore[type-var]

    def save(self, path: Path) -> None:
        """Write the columns as parquet, whole or not at all."""
        columns = {k: pa.array(v) for k, v in self._columns().items()}
        table = pa.table(columns).replace_schema_metadata({_METADATA: self._header()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        atomic_write(path, sink.getvalue().to_pybytes())

    @classmethod
    def load(cls: type[R], path: Path) -> R:
        """Read what ``save`` wrote.

        Raises:
            CorruptArtefact: if the file is missing, damaged, altered, or of another kind.
        """
        try:
            table = pq.read_table(path)
            header = json.loads(table.schema.metadata[_METADATA])
            kind, digest = header.pop("kind"), header.pop("hash")
            header["origin"] = Origin(**header["origin"] | {"notes": (*header["origin"]["notes"],)})
            columns = {name: _column(table[name]) for name in table.column_names}
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise CorruptArtefact(f"{path} cannot be read as {cls.__name__}: {error}.") from error
        if kind != cls.__name__:
            raise CorruptArtefact(f"{path} holds {kind}, not {cls.__name__}.")
        loaded = cls(**columns, **header)
        if loaded.hash != digest:
            raise CorruptArtefact(
                f"{path} was altered: its contents hash to {loaded.hash}, its header says {digest}."
            )
        return loaded

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
        object.__setattr__(self, "texts", tuple(self.texts))
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


def _column(cells: pa.ChunkedArray) -> np.ndarray | tuple[str, ...]:
    if pa.types.is_string(cells.type) or pa.types.is_null(cells.type):
        return tuple(cells.to_pylist())
    return np.asarray(cells.to_numpy())


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what is no text, or is text that no file and no tokenizer can hold.

    Raises:
        DataError: naming the first row that is no string or has a lone surrogate.
    """
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"Text {row} is {type(text).__name__} {text!r}, not a string.")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        for row, text in enumerate(texts):
            if any("\ud800" <= char <= "\udfff" for char in text):
                raise DataError(
                    f"Text {row} holds a lone surrogate, which is no character: {text[:40]!a}.",
                    hint="load_corpus() replaces them by U+FFFD.",
                ) from None


@dataclass(frozen=True, slots=True, eq=False)
class Corpus(Rows):
    """Texts with binary labels: the only definition of the behaviour that is looked for.

    Attributes:
        texts: the texts, never empty of meaning after ``clean``.
        labels: 1 where the behaviour is present, else 0; kept as int8.
        source: where each text came from ("" if unknown); results are also given by source.
        category: a finer kind of behaviour ("" if none).
        split: train, select or report, if the corpus brings its own split.
        group: texts of one group (a thread, an author) are never split.
        name: short name for tables.
        origin: where it was read from.
    """

    texts: tuple[str, ...]
    labels: Shaped[np.ndarray, " text"]
    source: tuple[str, ...] | None = None
    category: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    name: str = "corpus"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        wrong = sorted({repr(label) for label in labels.ravel().tolist() if label not in (0, 1)})
        if labels.ndim != 1 or wrong:
            seen = f"holds {', '.join(wrong[:8])}" if wrong else f"has shape {labels.shape}"
            raise DataError(f"labels {seen}: one 0 or 1 per text is needed.")
        object.__setattr__(self, "labels", labels.astype(np.int8))
        self._check()

    @property
    def positive_share(self) -> float:
        """Share of texts with label 1."""
        return float(self.labels.mean()) if len(self) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Prompts(Rows):
    """Beginnings that a model is asked to continue.

    Attributes:
        texts: the prompts.
        toxicity: score of each prompt in [0, 1], if known; NaN where unknown.
        source: where each prompt came from.
        split: select or report, if the set brings its own split.
        name: short name for tables.
        origin: where it was read from.
    """

    texts: tuple[str, ...]
    toxicity: Float[np.ndarray, " text"] | None = None
    source: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    name: str = "prompts"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        if self.toxicity is not None:
            scores = np.asarray(self.toxicity, dtype=np.float64)
            if ((scores < 0) | (scores > 1)).any():
                raise DataError(
                    f"Prompt toxicity runs from {np.nanmin(scores):g} to {np.nanmax(scores):g}: "
                    "scores lie in [0, 1]."
                )
            object.__setattr__(self, "toxicity", scores)
        self._check()


@dataclass(frozen=True, slots=True, eq=False)
class NeutralText(Rows):
    """Ordinary prose, on which an edit should change nothing; for perplexity and divergence.

    Attributes:
        texts: lines or documents in their order.
        source: where each came from.
        split: select or report, if the set brings its own split.
        tokenised: WikiText's ``<unk>`` and ``@-@`` form, whose perplexities compare with no other.
        name: short name for tables.
        origin: where it was read from.
    """

    texts: tuple[str, ...]
    source: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    tokenised: bool = False
    name: str = "neutral"
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        self._check()
