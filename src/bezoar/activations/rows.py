"""Rows of one site, shuffled, a batch at a time: what is trained on many activations reads these.

An epoch passes every row once, in an order that seed and epoch fix. Rows come in groups, each a
random part of all, shuffled inside; a batch may take from two. How a row gets into memory is each
source's own affair: here it lies in a store or in memory, ``recompute`` runs the model again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from bezoar.activations.store import ActivationStore
from bezoar.errors import ConfigError, DataError, ModelError
from bezoar.models import Site

GROUP_BYTES = 2**28
"""Of rows that are shuffled together. What a source has less of is shuffled as one."""
BLOCK_BYTES = 2**18
"""Of rows that are read from one place on disk: a thousand places to a group."""

Part = TypeVar("Part", covariant=True)


class Group(Protocol[Part]):
    """Shuffled rows, or where they are, to be cut in parts."""

    def __getitem__(self, part: slice, /) -> Part: ...


@runtime_checkable
class RowSource(Protocol):
    """Rows of one site, to be read again and again.

    Attributes:
        n_rows: how many an epoch has.
        d: the size of each.
        site: where they come from.
        digest: equal only for sources that give equal rows in equal order.
        fingerprint: of the model whose rows they are; "" if unknown.
    """

    n_rows: int
    d: int
    site: Site
    digest: str
    fingerprint: str

    def batches(
        self, batch: int, epoch: int = 0, start: int = 0, seed: int = 0
    ) -> Iterator[Float32[Tensor, "batch d"]]:
        """The rows of an epoch, ``batch`` at a time; the same ones for the same arguments.

        Args:
            batch: rows each. What is left at the end is dropped, unless there is nothing else.
            epoch: every epoch has an order of its own.
            start: batches to pass over, at hardly any cost.
            seed: of the orders.

        Raises:
            ConfigError: if ``batch`` is less than 1, or another argument less than 0.
            ModelError: if a row is not finite.
        """
        ...


class InMemoryRows:
    """Rows of an array [rows d].

    Raises:
        DataError: if there is none.
    """

    fingerprint = ""

    def __init__(
        self, array: Float[np.ndarray, "rows d"] | Float[Tensor, "rows d"], site: Site | str
    ) -> None:
        self._rows = torch.as_tensor(array).float().contiguous()
        self.site = Site.parse(site) if isinstance(site, str) else site
        self.n_rows, self.d = some(len(self._rows), self.site), self._rows.shape[1]
        content = hashlib.sha256(self._rows.numpy().data).hexdigest()
        self.digest = digest_of("memory", self.site, *self._rows.shape, content)

    def batches(
        self, batch: int, epoch: int = 0, start: int = 0, seed: int = 0
    ) -> Iterator[Float32[Tensor, "batch d"]]:
        """See :class:`RowSource`."""
        check_asked(batch, epoch, start, seed)

        def group(_: int) -> np.ndarray:
            return order_of(self.n_rows, seed, epoch, 1)

        parts = stream([self.n_rows], batch, start, group)
        return (finite(self._rows[torch.from_numpy(part)], self.site) for (part,) in parts)


class StoredRows:
    """Rows of a store, read from where they lie; memory holds no more than a batch.

    A group is a thousand blocks of rows that lie side by side, from anywhere in the store: the disk
    reads runs, ahead of need, and a batch has rows of texts of all lengths.

    Args:
        store: one row a token with pooling ``none``, else one a text.
        site: one of the store's.
        texts: only the rows of these, by number or as a mask; None for all.
        skip_first: rows at the beginning of each text that are left out. Many models park
            attention on the first position, and what they write there is an outlier.

    Raises:
        StoreError: if the store does not hold the site, or rows of texts shall be left out of one
            that has one row a text.
        DataError: if there is no row, or no such text.
    """

    def __init__(
        self,
        store: ActivationStore,
        site: Site | str,
        texts: Sequence[int] | np.ndarray | None = None,
        *,
        skip_first: int = 0,
    ) -> None:
        store.require(site=site, pooling="none" if skip_first else None)
        self.site = Site.parse(site) if isinstance(site, str) else site
        self._store = store
        # Without a choice a row's place is its number: nothing need be held.
        self._places: Int64[np.ndarray, " rows"] | None = None
        if texts is not None or skip_first:
            chosen = np.arange(len(store.lengths)) if texts is None else texts
            self._places = np.sort(store.places(chosen, skip_first=skip_first))
        m = store.manifest
        self.fingerprint = m.fingerprint
        self.n_rows = some(m.rows if self._places is None else len(self._places), self.site)
        self.d = m.columns[str(self.site)]
        row_bytes = m.row_bytes // sum(m.widths) * self.d
        self._block = max(1, BLOCK_BYTES // row_bytes)
        self._per_group = max(1, GROUP_BYTES // (self._block * row_bytes))
        held = b"" if self._places is None else self._places.astype("<i8").tobytes()
        self.digest = digest_of(
            *("store", m.fingerprint or m.model, m.variant, m.digest, m.plan.sha256),
            *(m.budget_tokens, m.pooling, m.dtype, self.site, self._block, self._per_group),
            hashlib.sha256(held).hexdigest(),
        )

    def batches(
        self, batch: int, epoch: int = 0, start: int = 0, seed: int = 0
    ) -> Iterator[Float32[Tensor, "batch d"]]:
        """See :class:`RowSource`."""
        check_asked(batch, epoch, start, seed)
        n_blocks = -(-self.n_rows // self._block)
        blocks = order_of(n_blocks, seed, epoch, 0)
        groups = np.split(blocks, range(self._per_group, n_blocks, self._per_group))
        sizes = [len(group) * self._block for group in groups]
        # The block that the rows end in is a short one, and may be in any group.
        sizes[int(np.argmax(blocks)) // self._per_group] -= n_blocks * self._block - self.n_rows
        expected = 0

        def group(number: int) -> np.ndarray:
            nonlocal expected
            if len(groups) > 1:
                self._store.forget(self.site)
                for ahead in range(max(expected, number), min(number + 2, len(groups))):
                    self._store.expect(self.site, self._in_blocks(np.sort(groups[ahead])))
                expected = number + 2
            return order_of(self._in_blocks(groups[number]), seed, epoch, 1 + number)

        return map(self._read, stream(sizes, batch, start, group))

    def _in_blocks(self, blocks: Int64[np.ndarray, " blocks"]) -> Int64[np.ndarray, " rows"]:
        """Where the rows of these blocks lie."""
        rows = (blocks[:, None] * self._block + np.arange(self._block)).ravel()
        rows = rows[rows < self.n_rows]
        return rows if self._places is None else self._places[rows]

    def _read(self, parts: list[np.ndarray]) -> Float32[Tensor, "batch d"]:
        # No row of a store is infinite or NaN: a harvest refuses it, and files are held to hashes.
        return torch.from_numpy(self._store.as_stored(self.site, np.concatenate(parts)))


def batches_an_epoch(n_rows: int, batch: int) -> int:
    """How many batches a source of so many rows gives."""
    return max(1, n_rows // batch)


def check_asked(batch: int, epoch: int, start: int, seed: int) -> None:
    """Refuse batches that no source can give.

    Raises:
        ConfigError: as :meth:`RowSource.batches` says.
    """
    if batch < 1 or min(epoch, start, seed) < 0:
        raise ConfigError(
            f"Batches of {batch} rows from number {start} on, of epoch {epoch} with seed {seed}.",
            hint="A batch has 1 row at least; the others count from 0.",
        )


def stream(
    sizes: Sequence[int], batch: int, start: int, group: Callable[[int], Group[Part]]
) -> Iterator[list[Part]]:
    """Groups end to end, cut into batches: the parts of one or more groups that each is made of.

    Args:
        sizes: rows of each group.
        batch, start: as in :meth:`RowSource.batches`.
        group: makes a group; asked for those that a batch takes from only, one after the other.
    """
    ends = np.cumsum(sizes)
    held: tuple[int, Group[Part]] | None = None
    for number in range(start, batches_an_epoch(int(ends[-1]), batch)):
        at, stop = number * batch, min((number + 1) * batch, int(ends[-1]))
        parts = []
        while at < stop:
            place = int(np.searchsorted(ends, at, side="right"))
            if held is None or held[0] != place:
                held = None  # let the last group go before the next is made
                held = (place, group(place))
            begin, end = int(ends[place]) - sizes[place], min(stop, int(ends[place]))
            parts.append(held[1][at - begin : end - begin])
            at = end
        yield parts


def order_of(things: int | Int64[np.ndarray, " n"], *key: int) -> Int64[np.ndarray, " n"]:
    """Things, or the numbers of so many, in a random order; the same one for the same key."""
    return np.random.default_rng(key).permutation(things)


def some(n_rows: int, site: Site) -> int:
    """That there are rows.

    Raises:
        DataError: if there are none.
    """
    if n_rows < 1:
        raise DataError(f"There is no row of {site} to read.", hint="Give some texts.")
    return n_rows


def finite(rows: Float32[Tensor, "batch d"], site: Site) -> Float32[Tensor, "batch d"]:
    """That the rows can be computed with.

    Raises:
        ModelError: if one is NaN or infinite.
    """
    if not bool(torch.isfinite(rows.sum())) and not bool(torch.isfinite(rows).all()):
        raise ModelError(
            f"Rows of {site} are NaN or infinite.",
            hint="Load the model in float32, and check that its weights are finite.",
        )
    return rows


def digest_of(*parts: object) -> str:
    """A hash of what a source reads."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
