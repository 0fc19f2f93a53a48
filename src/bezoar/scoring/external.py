"""Scores made elsewhere (an API, a model on another machine, people), read from a file by text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from bezoar.errors import ScorerError
from bezoar.scoring.scorer import attribute_name
from bezoar.scoring.tables import read_table


class FileScorer:
    """Looks texts up in a table; a text that is not there is an error.

    Args:
        path: CSV, JSON lines or parquet.
        text: the column of texts.
        columns: attribute -> column. By default every column whose name is an attribute's
            ("toxicity", "insult", also under Jigsaw's or Perspective's names) is taken.
        threshold: from here on a text counts as toxic.

    Raises:
        DataError: if the table cannot be read or lacks the text column.
        ScorerError: if there is no toxicity column, or a text has two different scores.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        text: str = "text",
        columns: Mapping[str, str] | None = None,
        threshold: float = 0.5,
    ) -> None:
        path = Path(path)
        frame = read_table(path, [text, *(columns or {}).values()])
        chosen = columns or {
            name: column for column in frame.columns if (name := attribute_name(column))
        }
        if "toxicity" not in chosen:
            raise ScorerError(
                f"{path} has no toxicity column; seen: {', '.join(frame.columns)}.",
                hint="Name it: file:PATH?toxicity=COLUMN.",
            )
        self.name = f"file:{path.name}"
        self.hash = hashlib.sha256(path.read_bytes()).hexdigest()
        self.attributes = tuple(chosen)
        self.threshold = threshold
        self.lineage = self.name
        self._path = path
        self._rows = _rows(path, frame.select(text, *chosen.values()), text)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts that still need a score, each once: what to send to whoever scores them."""
        return list(dict.fromkeys(text for text in texts if text not in self._rows))

    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """See `bezoar.scoring.Scorer.score`.

        Raises:
            ScorerError: if a text is not in the file.
        """
        missing = self.missing(texts)
        if missing:
            raise ScorerError(
                f"{len(missing)} of {len(set(texts))} texts have no score in {self._path}"
                f" (the first is text {texts.index(missing[0])}).",
                hint="FileScorer.missing(texts) lists them; add their scores to the file.",
            )
        table = np.array([self._rows[text] for text in texts], dtype=np.float64)
        table = table.reshape(len(texts), len(self.attributes))
        return {name: table[:, column] for column, name in enumerate(self.attributes)}


def _rows(path: Path, frame: pl.DataFrame, text: str) -> dict[str, tuple[float, ...]]:
    rows: dict[str, tuple[float, ...]] = {}
    for key, *values in frame.iter_rows():
        # A null stays NaN: the check of every scorer then names it.
        row = tuple(float("nan") if value is None else float(value) for value in values)
        if repr(rows.setdefault(key, row)) != repr(row):
            raise ScorerError(f"{path} gives one text two scores: {rows[key]} and {row}.")
    return rows
