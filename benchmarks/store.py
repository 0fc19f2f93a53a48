"""Shuffled rows out of a store, against np.memmap and zarr.

    python -m benchmarks.store

The store holds one row a text at several sites, in many shards and in the order in which a harvest
computes them; it gives rows in the order of the texts. The memory-mapped file and the zarr array
hold one site in that order already. All files are warm: they were just written and read.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common import arguments, interleave, report, start
from benchmarks.material import make_store


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--read", type=int, default=50_000, help="rows of one shuffled read")
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--width", type=int, default=768)
    args = start(parser)
    folder = Path(tempfile.mkdtemp(prefix="bezoar-benchmark-"))
    try:
        _measure(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(args: argparse.Namespace, folder: Path) -> None:
    rows, width = args.rows, args.width
    widths = {f"{layer}.resid_post": width for layer in range(2)}
    many = make_store(folder / "many", rows, widths, args.shards)
    one = make_store(folder / "one", rows, widths, 1)
    table = many.rows("0.resid_post", dtype=None)
    table.tofile(folder / "rows.bin")
    mapped = np.memmap(folder / "rows.bin", np.float16, "r", shape=(rows, width))
    chosen = np.random.default_rng(0).permutation(rows)[: args.read]
    arms = {
        "memmap": lambda: mapped[chosen],
        "many": lambda: many.rows("0.resid_post", chosen, dtype=None),
        "one": lambda: one.rows("0.resid_post", chosen, dtype=None),
        "memmap as float32": lambda: mapped[chosen].astype(np.float32),
        "many as float32": lambda: many.rows("0.resid_post", chosen),
    }
    np.testing.assert_array_equal(arms["many"](), arms["memmap"]())
    np.testing.assert_array_equal(arms["many as float32"](), arms["memmap as float32"]())
    batches = np.array_split(chosen, max(1, len(chosen) // 512))

    def minibatches(read: Callable[[np.ndarray], object]) -> Callable[[], None]:
        def run() -> None:
            for batch in batches:
                read(batch)

        return run

    arms["memmap, 512 at a time"] = minibatches(mapped.__getitem__)
    arms["many, 512 at a time"] = minibatches(lambda i: many.rows("0.resid_post", i, dtype=None))
    try:
        import zarr
    except ImportError:
        zarr = None
    if zarr is not None:
        array = zarr.create_array(
            folder / "zarr", shape=table.shape, chunks=(1024, width), dtype=table.dtype
        )
        array[:] = table
        arms["zarr"] = lambda: array.oindex[chosen]
        np.testing.assert_array_equal(arms["zarr"](), arms["memmap"]())
    times = interleave(arms, args.repeats)
    what = f"{args.read:,} of {rows:,} rows of {width}"
    figures = [
        times.figure(
            f"shuffled rows, {args.shards} shards: × np.memmap",
            0.8,
            of="many",
            to="memmap",
            note=what,
        ),
        times.figure("shuffled rows, one shard: × np.memmap", 0.8, of="one", to="memmap"),
        times.figure(
            "shuffled rows as float32: × np.memmap and astype",
            0.8,
            of="many as float32",
            to="memmap as float32",
        ),
    ]
    figures.append(
        times.figure(
            f"the same, {len(batches[0])} rows at a time, {args.shards} shards: × np.memmap",
            0.8,
            of="many, 512 at a time",
            to="memmap, 512 at a time",
        )
    )
    if zarr is not None:
        figures.append(times.figure("shuffled rows: × zarr 3, warm", 10, of="many", to="zarr"))
    report(args, *figures)


if __name__ == "__main__":
    main()
