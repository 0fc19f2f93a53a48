"""Rows of safetensors files, read in place through a memory map."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bezoar.activations.manifest import FileMark, Manifest, StoreDtype, check_file, shard_name
from bezoar.errors import CorruptArtefact

Arrays = Mapping[str, np.ndarray]

# numpy has no bfloat16: its bits travel as uint16.
_ON_DISK: dict[StoreDtype, tuple[str, Any]] = {
    "float16": ("F16", np.dtype("<f2")),
    "bfloat16": ("BF16", np.dtype("<u2")),
    "float32": ("F32", np.dtype("<f4")),
}


def map_shard(
    path: Path, mark: FileMark, columns: Mapping[str, int], dtype: StoreDtype
) -> dict[str, np.ndarray]:
    """Map a shard's tensors [rows d] without reading them; the header must be as expected.

    Raises:
        CorruptArtefact: if the file does not hold exactly the expected tensors.
    """
    check_file(path, mark, content=False)
    name, kind = _ON_DISK[dtype]
    try:
        data = np.memmap(path, dtype=np.uint8, mode="r")
        size = int.from_bytes(data[:8].tobytes(), "little")
        header = json.loads(data[8 : 8 + size].tobytes())
        header.pop("__metadata__", None)
        arrays = {}
        for column, width in columns.items():
            entry = header.pop(column)
            begin, end = entry["data_offsets"]
            sound = entry["dtype"] == name and entry["shape"] == [mark.rows, width]
            if not sound or end - begin != mark.rows * width * kind.itemsize or begin < 0:
                raise ValueError(f"{column} is {entry}")
            flat = np.asarray(data[8 + size + begin : 8 + size + end])
            arrays[column] = flat.view(kind).reshape(mark.rows, width)
        if header:
            raise ValueError(f"unexpected {sorted(header)[0]}")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CorruptArtefact(
            f"{path} is no shard of this store: {error}.",
            hint=f"Remove the folder {path.parent} and harvest again.",
        ) from error
    return arrays


class Shards:
    """The shards of a store as one table per column. A shard is hashed before it is first read.

    Args:
        folder: where the files are.
        manifest: says what they hold.
        opened: shards that need neither opening nor checking.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, opened: dict[int, Arrays] | None = None
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._columns = manifest.columns
        self._opened: dict[int, Arrays] = dict(opened or {})
        rows = [shard.rows for shard in manifest.shards]
        self._ends = np.cumsum(rows, dtype=np.int64)
        self._addresses: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def read(self, number: int) -> Arrays:
        """The columns of a shard.

        Raises:
            CorruptArtefact: if it is missing, truncated or altered.
        """
        if number not in self._opened:
            path, mark = self._folder / shard_name(number), self._manifest.shards[number]
            check_file(path, mark)
            self._opened[number] = map_shard(path, mark, self._columns, self._manifest.dtype)
        return self._opened[number]

    def gather(self, column: str, stored: np.ndarray) -> np.ndarray:
        """Rows of a column by their place in storage, in the dtype of the store."""
        out = np.empty((len(stored), self._columns[column]), _ON_DISK[self._manifest.dtype][1])
        if len(self._ends) == 1:
            # mode: "raise" would read through a buffer; the caller has checked the range.
            return np.take(self.read(0)[column], stored, axis=0, out=out, mode="clip")
        from bezoar.activations.gather import gather_rows  # compiled: imported where needed

        gather_rows(self._addresses_of(column, stored), self._ends, stored, out)
        return out

    def _addresses_of(self, column: str, stored: np.ndarray) -> np.ndarray:
        """Where a column begins in every shard that these rows are in; 0 elsewhere."""
        addresses = self._addresses.setdefault(column, np.zeros(len(self._ends), np.int64))
        if not addresses.all():
            needed = np.zeros(len(self._ends), dtype=bool)
            needed[np.searchsorted(self._ends, stored, side="right")] = True
            for number in np.flatnonzero(needed & (addresses == 0)).tolist():
                addresses[number] = self.read(number)[column].ctypes.data
        return addresses

    def gather_float32(self, column: str, stored: np.ndarray) -> np.ndarray:
        """The same as float32, converted on the way."""
        if self._manifest.dtype == "float32":
            return self.gather(column, stored)
        from bezoar.activations.gather import gather_widened  # compiled: imported where needed

        out = np.empty((len(stored), self._columns[column]), np.float32)
        addresses = self._addresses_of(column, stored)
        gather_widened(addresses, self._ends, stored, out, self._manifest.dtype == "bfloat16")
        return out

    def expect(self, column: str, stored: np.ndarray) -> None:
        """Ask the system to read rows, given in rising order, that will soon be gathered."""
        if not hasattr(mmap.mmap, "madvise"):  # where there is none, they are read when touched
            return
        breaks = np.flatnonzero(np.diff(stored) != 1) + 1
        starts, stops = stored[np.r_[0, breaks]], stored[np.r_[breaks - 1, len(stored) - 1]] + 1
        begins = self._ends - np.diff(self._ends, prepend=0)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            first, last = np.searchsorted(self._ends, [start, stop - 1], side="right").tolist()
            for number in range(first, last + 1):
                begin = int(begins[number])
                self._advise(number, column, mmap.MADV_WILLNEED, start - begin, stop - begin)

    def forget(self, column: str) -> None:
        """Give pages of a column back to the system, which may keep what the files hold."""
        if hasattr(mmap.mmap, "madvise"):
            for number in list(self._opened):
                self._advise(number, column, mmap.MADV_DONTNEED)

    def _advise(
        self, number: int, column: str, advice: int, start: int = 0, stop: int | None = None
    ) -> None:
        """Tell the system about rows ``start`` to ``stop`` of a shard's column, if it is a map."""
        values = self.read(number)[column]
        mapped: Any = values
        while isinstance(mapped, np.ndarray):
            mapped = mapped.base
        if isinstance(mapped, mmap.mmap):
            begin = values.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
            row = values.shape[1] * values.itemsize
            first = begin + max(0, start) * row
            last = begin + (len(values) if stop is None else min(stop, len(values))) * row
            first -= first % mmap.PAGESIZE
            mapped.madvise(advice, first, last - first)
