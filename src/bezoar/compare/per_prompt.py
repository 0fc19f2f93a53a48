"""Each prompt's value of each metric, by variant: what a paired comparison needs."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bezoar.errors import CorruptArtefact, DataError
from bezoar.runs.results import atomic_write
from bezoar.stats.splits import text_key

_COLUMNS = {"variant": pa.string(), "metric": pa.string(), "prompt": pa.string()}
_SCHEMA = pa.schema([*_COLUMNS.items(), ("value", pa.float64())])


class PerPrompt:
    """Values by variant, metric and prompt. Prompts are named by hash: no text is stored.

    Args:
        prompts: texts of the prompts, in the order of the values.
        values: `{variant: {metric: one value a prompt}}`.

    Raises:
        DataError: if a metric has another number of values than there are prompts.
    """

    def __init__(
        self, prompts: Sequence[str], values: Mapping[str, Mapping[str, Sequence[float]]]
    ) -> None:
        self._keys = [text_key(prompt) for prompt in prompts]
        self._values = {
            (variant, metric): dict(zip(self._keys, map(float, column), strict=False))
            for variant, metrics in values.items()
            for metric, column in metrics.items()
            if _same_length(variant, metric, len(column), len(prompts))
        }

    def save(self, path: str | Path) -> None:
        """Write a parquet file, whole or not at all."""
        path = Path(path)
        rows = sorted(  # equal values are equal bytes, in whatever order they were given
            (variant, metric, prompt, value)
            for (variant, metric), column in self._values.items()
            for prompt, value in column.items()
        )
        columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(_SCHEMA)
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns, schema=_SCHEMA), buffer)
        atomic_write(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> PerPrompt:
        """Read what `save` wrote.

        Raises:
            CorruptArtefact: if the file is damaged, or something else.
        """
        path = Path(path)
        try:
            table = pq.read_table(path).select(_SCHEMA.names).cast(_SCHEMA)
        except (OSError, ValueError, KeyError) as error:
            raise CorruptArtefact(
                f"{path} cannot be read as values by prompt: {str(error).splitlines()[0]}",
                hint="Run 'bezoar evaluate' again in a new folder.",
            ) from error
        made = cls([], {})
        for variant, metric, prompt, value in zip(*(c.to_pylist() for c in table), strict=True):
            made._values.setdefault((variant, metric), {})[prompt] = value
        return made

    def pairs(
        self, other: PerPrompt, variant: str, metric: str
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Values of the prompts that both hold, in one order; None where there are fewer than two.

        Returns:
            `(self's [n], other's [n])`.
        """
        mine, theirs = (v._values.get((variant, metric), {}) for v in (self, other))
        common = sorted(mine.keys() & theirs.keys())
        if len(common) < 2:
            return None
        return np.array([mine[k] for k in common]), np.array([theirs[k] for k in common])


def _same_length(variant: str, metric: str, seen: int, wanted: int) -> bool:
    if seen != wanted:
        raise DataError(f"{variant} has {seen} values of {metric} for {wanted} prompts.")
    return True
