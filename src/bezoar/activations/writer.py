"""Fills shards and records them: first the file, then its line in the manifest.

A full shard is written and hashed beside the next batches, from a buffer of its own; its line
follows when the next shard is full, or at the end. One thread does all the writing, in order.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from bezoar.activations.batching import BatchPlan
from bezoar.activations.manifest import (
    PARTIAL,
    FileMark,
    Manifest,
    check_file,
    shard_name,
    write_shard,
)
from bezoar.activations.passes import Pass
from bezoar.activations.pooling import Pooler
from bezoar.activations.shards import map_shard
from bezoar.errors import CorruptArtefact, ModelError, StoreError
from bezoar.models import Site

SHARD_BYTES = 2**26
"""Rows of a shard, of which two are held, and of a batch, which a shard has to hold whole: else
memory would grow with the number of texts that are short enough for one batch. Small: nothing is
left to run beside the last."""
SHARD_TOKENS = 2**14
"""Padded tokens after which a shard is written anyway. A ``kill -9`` can cost two shards."""
_NOTHING = torch.empty(0)


def shard_rows(row_bytes: int) -> int:
    """Rows of that size that a shard holds, and a batch may give; at least one."""
    return max(1, SHARD_BYTES // row_bytes)


class Buffer:
    """Rows that are being collected, one tensor a site.

    Attributes:
        rows, batches, tokens: rows that count, the batches they come from, and what those cost.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.rows = self.batches = self.tokens = 0
        self._manifest = manifest
        self._columns = _columns(manifest, 0)
        self._capacity = 0

    def reserve(self, more: int) -> None:
        """Make room for so many rows behind those that count."""
        needed = self.rows + more
        if needed > self._capacity:
            capacity = max(needed, min(2 * self._capacity, shard_rows(self._manifest.row_bytes)))
            columns = _columns(self._manifest, capacity)
            for site, column in self.filled().items():
                columns[site][: self.rows] = column
            self._columns, self._capacity = columns, capacity

    def take(self, site: Site, values: Tensor, pool: Pooler) -> Tensor:
        """Pool a batch's values [batch pos d] behind the rows that count; they count once
        committed.

        Raises:
            ModelError: if they are NaN or infinite.
            StoreError: if they exceed the dtype.
        """
        kept = pool(values, self._columns[str(site)][self.rows : self.rows + pool.rows])
        low, high = torch.aminmax(kept)
        if not float(torch.maximum(-low, high)) < float("inf"):  # NaN compares false
            raise self._refusal(site, float(pool(values).abs().max()))
        return _NOTHING

    def _refusal(self, site: Site, peak: float) -> ModelError | StoreError:
        if not peak < float("inf"):
            return ModelError(
                f"Activations at {site} are NaN or infinite.",
                hint="Load the model in float32, and check that its weights are finite.",
            )
        return StoreError(
            f"Activations at {site} reach {peak:.4g}, beyond {self._manifest.dtype}.",
            hint='Harvest with dtype="bfloat16" or "float32".',
        )

    def commit(self, rows: int, batches: int, tokens: int) -> None:
        """Count rows that were taken."""
        # One statement without a call in it: Ctrl-C cannot fall between the three.
        self.rows, self.batches, self.tokens = (
            self.rows + rows,
            self.batches + batches,
            self.tokens + tokens,
        )

    def clear(self) -> None:
        """Forget all rows."""
        self.rows = self.batches = self.tokens = 0

    def filled(self) -> dict[str, Tensor]:
        """The rows that count."""
        return {site: column[: self.rows] for site, column in self._columns.items()}

    def restore(self, columns: dict[str, Tensor], batches: int, tokens: int) -> None:
        """Take up rows that were saved."""
        rows = len(next(iter(columns.values())))
        self.reserve(rows)
        for site, column in self._columns.items():
            column[:rows] = columns[site]
        self.commit(rows, batches, tokens)


def _columns(manifest: Manifest, capacity: int) -> dict[str, Tensor]:
    """Room for so many rows of each site, in one piece."""
    dtype = getattr(torch, manifest.dtype)
    sizes = [capacity * width for width in manifest.widths]
    kind = np.dtype(f"i{dtype.itemsize}")  # of the same size: NumPy has no bfloat16
    # NumPy asks the system for huge pages, torch does not: first use costs half as much.
    parts = np.split(np.empty(sum(sizes), kind), np.cumsum(sizes)[:-1])
    return {
        site: torch.from_numpy(part).view(dtype).reshape(capacity, width)
        for (site, width), part in zip(manifest.columns.items(), parts, strict=True)
    }


class _Pending(NamedTuple):
    """A shard on its way to disk: its number, what it holds, and the mark of its file to come."""

    number: int
    held: Buffer
    mark: Future[FileMark]


class Writer:
    """Writes a harvest into a folder, from where its manifest says it was left.

    Attributes:
        buffer: takes the rows of the batch that runs.
    """

    def __init__(self, out: Path, manifest: Manifest, plan: BatchPlan) -> None:
        self._out = out
        self._manifest = manifest
        largest = int(plan.tokens.max() if manifest.pooling == "none" else plan.sizes.max())
        self._limit = max(shard_rows(manifest.row_bytes), largest)
        self._thread = ThreadPoolExecutor(1, "shards")
        self._pending: _Pending | None = None
        self._recorded: Future[None] | None = None
        self._spare: Buffer | None = None
        self.buffer = Buffer(manifest)
        if manifest.partial is not None:
            self._restore(manifest.partial, plan)
        self._flush_if_full(plan)

    @property
    def next_batch(self) -> int:
        pending = 0 if self._pending is None else self._pending.held.batches
        return self._manifest.batches_done + pending + self.buffer.batches

    def take(self, site: Site, values: Tensor, pool: Pooler) -> Tensor:
        """Pool a batch's values into the shard that is being filled, as `Buffer.take` does."""
        return self.buffer.take(site, values, pool)

    def replanned(self, first: int, plan: BatchPlan) -> None:
        """Record that batches were halved, before any runs so."""
        self._record(halved_at=(*self._manifest.halved_at, first))
        self._await_record()

    def commit(self, done: Pass) -> None:
        """Count a batch; write the shard if it is full. Where it ends depends on the plan alone."""
        buffer, plan = self.buffer, done.plan
        buffer.commit(self._rows(plan, done.number), 1, plan.cost(done.number))
        self._flush_if_full(plan)

    def _flush_if_full(self, plan: BatchPlan) -> None:
        buffer, following = self.buffer, self.next_batch
        last = following == len(plan)
        more = 0 if last else self._rows(plan, following)
        full = buffer.rows + more > self._limit or buffer.tokens >= SHARD_TOKENS
        if buffer.rows and (last or full):
            self._settle()
            empty = self._spare or Buffer(self._manifest)
            empty.clear()
            number = len(self._manifest.shards)
            path, held = self._out / shard_name(number), buffer
            mark = self._thread.submit(_write, path, held)
            # One statement: an interruption must not leave the same rows pending and in the buffer.
            self._pending, self.buffer = _Pending(number, held, mark), empty
            if last:
                self._settle()
                self._await_record()
        self.buffer.reserve(more)

    def _settle(self) -> None:
        """Wait for the shard on its way, and have it recorded.

        Raises:
            OSError, SafetensorError: if it could not be written. Its rows are then in the buffer
                again, in the place of those that came after. Or if the one before it could not be
                recorded; the next record makes up for that.
        """
        self._await_record()
        if self._pending is None:
            return
        number, held, mark = self._pending
        try:
            written = mark.result()
        except Exception:
            self._pending, self.buffer = None, held
            raise
        if number == len(self._manifest.shards):  # not recorded by a call that was interrupted
            shards = (*self._manifest.shards, written)
            complete = sum(shard.rows for shard in shards) == self._manifest.rows
            self._record(shards=shards, partial=None, complete=complete)
        self._pending, self._spare = None, held

    def save_partial(self) -> None:
        """Keep the rows of the unfinished shard."""
        self._settle()
        self._await_record()
        buffer = self.buffer
        if buffer.rows:
            mark = _write(self._out / PARTIAL, buffer)
            self._record(partial=mark)
            self._await_record()

    def _restore(self, mark: FileMark, plan: BatchPlan) -> None:
        """Take up the unfinished shard, if its file is sound: else only time is lost."""
        path, manifest = self._out / PARTIAL, self._manifest
        batches = range(manifest.batches_done, manifest.batches_done + mark.batches)
        try:
            check_file(path, mark)
            map_shard(path, mark, manifest.columns, manifest.dtype)
        except CorruptArtefact:
            return
        rows = sum(self._rows(plan, batch) for batch in batches)
        if mark.rows == rows <= self._limit:
            cost = sum(plan.cost(batch) for batch in batches)
            self.buffer.restore(load_file(path), mark.batches, cost)

    def _rows(self, plan: BatchPlan, batch: int) -> int:
        return rows_of(plan, batch, self._manifest)

    def _record(self, **changes: object) -> None:
        self._manifest = replace(self._manifest, **changes)  # type: ignore[arg-type]
        self._recorded = self._thread.submit(_save, self._manifest, self._out)

    def _await_record(self) -> None:
        """Wait until the manifest is on disk.

        Raises:
            OSError: if it could not be written.
        """
        recorded = self._recorded
        if recorded is not None:
            wait([recorded])  # Ctrl-C here leaves it to be waited for
            self._recorded = None
            recorded.result()


def _write(path: Path, held: Buffer) -> FileMark:
    mark = write_shard(path, held.filled(), held.rows, held.batches)
    # The C library keeps what batches of ever other shapes freed: without this, memory grows.
    with suppress(OSError, AttributeError):  # where it is not glibc
        ctypes.CDLL(None).malloc_trim(0)
    return mark


def _save(manifest: Manifest, out: Path) -> None:
    manifest.save(out)
    if manifest.partial is None:  # its rows are in a shard now
        (out / PARTIAL).unlink(missing_ok=True)


def rows_of(plan: BatchPlan, batch: int, manifest: Manifest) -> int:
    """Rows that a batch gives under the manifest's pooling."""
    texts = plan[batch]
    return int(plan.kept[texts].sum()) if manifest.pooling == "none" else len(texts)
