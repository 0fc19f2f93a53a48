"""Activations of many texts, read in the order in which the texts were given.

Shards hold rows in the order in which they were computed (longest texts first); the stored plan
is the permutation back. Files are read through a memory map at the offset their header names, so a
row costs one row. What was altered since it was written is named and refused, not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from bezoar.activations.batching import BatchPlan
from bezoar.activations.manifest import (
    Manifest,
    StoreDtype,
    check_file,
    load_plan,
    shard_name,
)
from bezoar.activations.pooling import Pooling
from bezoar.activations.shards import Arrays, Shards
from bezoar.errors import DataError, StoreError, did_you_mean
from bezoar.models import LanguageModel, Site

Index = slice | np.ndarray | list[int]


class ActivationStore:
    """Rows of one or more sites; one a text, or with pooling ``none`` one a token.

    Attributes:
        manifest: where they come from and how they are kept.
        path: the folder; None for a store in memory.
        lengths: [texts] tokens of each text, without those of a prompt that only came before.
        offsets: [texts + 1] where each text's rows begin, and end.
        token_ids: [rows] the token of each row with pooling ``none``; else None.
    """

    def __init__(
        self,
        manifest: Manifest,
        plan: BatchPlan,
        ids: np.ndarray | None = None,
        path: Path | None = None,
        opened: dict[int, Arrays] | None = None,
    ) -> None:
        self.manifest = manifest
        self.path = path
        self.lengths = plan.kept
        per_text = plan.kept if manifest.pooling == "none" else np.ones_like(plan.lengths)
        self.offsets = np.concatenate([[0], np.cumsum(per_text)]).astype(np.int64)
        self.token_ids = ids if manifest.pooling == "none" else None
        self._shards = Shards(path or Path(), manifest, opened)
        self._stored = _storage_places(plan.order, per_text, self.offsets)

    @classmethod
    def open(cls, path: Path | str) -> ActivationStore:
        """Open a finished store. Shards are checked against their hash when first read.

        Raises:
            StoreError: if there is none, or its harvest has not finished.
            CorruptArtefact: if a file is missing or damaged; it is named.
        """
        path = Path(path)
        manifest = Manifest.load(path)
        if not manifest.complete:
            done = sum(shard.rows for shard in manifest.shards)
            raise StoreError(
                f"The harvest into {path} has not finished: {done:,} of {manifest.rows:,} rows.",
                hint="Give the same command again; it goes on where it stopped.",
            )
        for number, mark in enumerate(manifest.shards):
            check_file(path / shard_name(number), mark, content=False)
        return cls(manifest, *load_plan(path, manifest), path)

    def __len__(self) -> int:
        return self.manifest.rows

    def __repr__(self) -> str:
        m = self.manifest
        where = "in memory" if self.path is None else str(self.path)
        return (
            f"ActivationStore({m.rows:,} rows of {len(m.sites)} sites of {m.model}, "
            f"pooling {m.pooling}, {m.dtype}, {where})"
        )

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites, in order of execution."""
        return tuple(Site.parse(site) for site in self.manifest.sites)

    @property
    def pooling(self) -> Pooling:
        return self.manifest.pooling

    def rows(
        self, site: Site | str, index: Index | None = None, *, dtype: StoreDtype | None = "float32"
    ) -> np.ndarray:
        """Rows [n d] of a site in input order, or those that ``index`` selects.

        Args:
            site: one of ``sites``.
            index: row numbers, a mask or a slice; only these rows are read.
            dtype: ``float32``, or None for the rows as stored (bfloat16 as its bits in uint16).

        Raises:
            StoreError: if the store does not hold the site.
            DataError: if a row number is out of range.
            CorruptArtefact: if a shard is damaged.
        """
        column = self._column(site)
        chosen = None if index is None else self._checked(index, len(self))
        stored = self._stored if chosen is None else self._stored[chosen]
        if dtype is None:
            return self._shards.gather(column, stored)
        if dtype != "float32":
            raise StoreError(f"Rows cannot be read as {dtype}.", hint="Ask for 'float32' or None.")
        return self._shards.gather_float32(column, stored)

    def of_text(self, site: Site | str, text: int) -> Float[np.ndarray, "rows d"]:
        """The rows of one text: its tokens with pooling ``none``, else its one row."""
        start, stop = self.offsets[text], self.offsets[text + 1]
        return self.rows(site, slice(int(start), int(stop)))

    def places(
        self, texts: Sequence[int] | np.ndarray, *, skip_first: int = 0
    ) -> Int64[np.ndarray, " rows"]:
        """Where the rows of some texts lie, counted as they are stored; see `as_stored`.

        Args:
            texts: numbers of texts, or a mask with one value each.
            skip_first: rows at the beginning of each that are left out.

        Raises:
            DataError: if there is no such text.
        """
        per_text = np.diff(self.offsets)
        chosen = self._checked(np.asarray(texts), len(per_text))
        numbers = np.arange(len(per_text))[chosen]
        begins = np.repeat(self.offsets[numbers], per_text[numbers])
        ends = np.cumsum(per_text[numbers])
        within = np.arange(len(begins)) - np.repeat(ends - per_text[numbers], per_text[numbers])
        return self._stored[(begins + within)[within >= skip_first]]

    def as_stored(
        self, site: Site | str, places: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, "rows d"]:
        """Rows by where they lie, for readers to whom the order of the texts is nothing.

        Raises:
            StoreError: if the store does not hold the site.
            DataError: if there is no such row.
            CorruptArtefact: if a shard is damaged.
        """
        checked = self._checked(places, len(self)) % len(self)  # a negative one from the end
        return self._shards.gather_float32(self._column(site), checked)

    def expect(self, site: Site | str, places: Int64[np.ndarray, " rows"]) -> None:
        """Have the disk read rows that will be asked for, given in rising order of place."""
        self._shards.expect(self._column(site), places)

    def forget(self, site: Site | str) -> None:
        """Let go of what was read: it is the system's to keep or to drop, not this process's."""
        self._shards.forget(self._column(site))

    def chunks(self, site: Site | str, size: int = 8192) -> Iterator[Float[np.ndarray, "chunk d"]]:
        """All rows in input order, ``size`` at a time, as float32."""
        for start in range(0, len(self), size):
            yield self.rows(site, slice(start, start + size))

    def parts(self, site: Site | str) -> Iterator[tuple[Int64[np.ndarray, " part"], np.ndarray]]:
        """All rows as they lie: for each shard which rows it holds, and their values [part d].

        For what does not depend on order and can do without a copy: values are read-only, in the
        dtype of the store (bfloat16 as its bits in uint16), and read from disk when touched.

        Raises:
            StoreError: if the store does not hold the site.
            CorruptArtefact: if a shard is damaged.
        """
        column = self._column(site)
        rows = np.empty_like(self._stored)
        rows[self._stored] = np.arange(len(rows))
        start = 0
        for number in range(len(self._shards)):
            values = self._shards.read(number)[column]
            yield rows[start : start + len(values)], values
            start += len(values)

    def verify(self) -> None:
        """Read every file and compare it with its hash.

        Raises:
            CorruptArtefact: naming the first that is missing, truncated or altered.
        """
        if self.path is None:
            return
        load_plan(self.path, self.manifest)
        for number, mark in enumerate(self.manifest.shards):
            check_file(self.path / shard_name(number), mark)
            self._shards.read(number)

    def require(
        self,
        *,
        lm: LanguageModel | None = None,
        variant: str | None = None,
        pooling: Pooling | None = None,
        site: Site | str | None = None,
    ) -> None:
        """Refuse a store that was made by another model, or holds something else.

        Raises:
            StoreError: saying what differs.
        """
        m = self.manifest
        if lm is not None and m.fingerprint and m.fingerprint != lm.fingerprint:
            raise StoreError(
                f"{self!r} was harvested from a model with other weights than {lm.name!r}.",
                hint="Harvest again with this model.",
            )
        if variant is not None and variant != m.variant:
            raise StoreError(
                f"{self!r} was harvested under the edit {m.variant!r}, not {variant!r}.",
                hint="Harvest again under this edit.",
            )
        if pooling is not None and pooling != m.pooling:
            raise StoreError(
                f"{self!r} is pooled by {m.pooling!r}, not {pooling!r}.",
                hint="Harvest again with this pooling, or use the one that is there.",
            )
        if site is not None:
            self._column(site)

    def _column(self, site: Site | str) -> str:
        names = self.manifest.sites
        name = str(Site.parse(site) if isinstance(site, str) else site)
        if name not in names:
            raise StoreError(f"The store does not hold {name}.", hint=did_you_mean(name, names))
        return name

    def _checked(self, index: Index, of: int) -> Any:
        if isinstance(index, slice):
            return index
        array = np.asarray(index)
        if array.dtype == bool and array.shape != (of,):
            raise DataError(f"A mask of {array.shape} for {of} rows.", hint="Give one a row.")
        if array.dtype != bool and array.size and not -of <= array.min() <= array.max() < of:
            raise DataError(
                f"Rows {array.min()} to {array.max()} of a store of {of} rows.",
                hint=f"Rows count from 0 to {of - 1}.",
            )
        return array if array.size else array.astype(np.int64)


def _storage_places(
    order: Int64[np.ndarray, " texts"],
    per_text: Int64[np.ndarray, " texts"],
    offsets: Int64[np.ndarray, " texts_and_one"],
) -> Int64[np.ndarray, " rows"]:
    """Where each row, counted in input order, lies when texts are stored in plan order."""
    stored_at = np.empty_like(order)
    stored_at[order] = np.cumsum(per_text[order]) - per_text[order]
    return np.repeat(stored_at - offsets[:-1], per_text) + np.arange(offsets[-1])
