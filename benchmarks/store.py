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
from typing import Any

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
    chosen = np.random.default_rng(0).permutation(args.rows)[: args.read]
    batches = np.array_split(chosen, max(1, len(chosen) // 512))
    arms = readers(args, folder, chosen, batches)
    np.testing.assert_array_equal(arms["many"](), arms["memmap"]())
    np.testing.assert_array_equal(arms["many as float32"](), arms["memmap as float32"]())
    if "zarr" in arms:
        np.testing.assert_array_equal(arms["zarr"](), arms["memmap"]())
    times = interleave(arms, args.repeats)
    shards = f"{args.shards} shards"
    some = f"{len(batches[0])} rows at a time"
    claims = [
        (f"shuffled rows, {shards}: × np.memmap", 0.8, "many", "memmap"),
        ("shuffled rows, one shard: × np.memmap", 0.8, "one", "memmap"),
        (
            "shuffled rows as float32: × np.memmap and astype",
            0.8,
            "many as float32",
            "memmap as float32",
        ),
        (f"the same, {some}, {shards}: × np.memmap", 0.8, "many in parts", "memmap in parts"),
        ("shuffled rows: × zarr 3, warm", 10, "many", "zarr"),
    ]
    figures = [
        times.figure(claim, goal, of=of, to=to) for claim, goal, of, to in claims if to in arms
    ]
    figures[0].note = f"{args.read:,} of {args.rows:,} rows of {args.width}"
    report(args, *figures)


def readers(
    args: argparse.Namespace, folder: Path, chosen: np.ndarray, batches: list[np.ndarray]
) -> dict[str, Callable[[], Any]]:
    """The ways to read the chosen rows, all at once or a batch at a time, from files made here."""
    rows, width, site = args.rows, args.width, "0.resid_post"
    widths = {f"{layer}.resid_post": width for layer in range(2)}
    many = make_store(folder / "many", rows, widths, args.shards)
    one = make_store(folder / "one", rows, widths, 1)
    table = many.rows(site, dtype=None)
    table.tofile(folder / "rows.bin")
    mapped = np.memmap(folder / "rows.bin", np.float16, "r", shape=(rows, width))

    def in_parts(read: Callable[[np.ndarray], object]) -> Callable[[], None]:
        def run() -> None:
            for batch in batches:
                read(batch)

        return run

    arms: dict[str, Callable[[], Any]] = {
        "memmap": lambda: mapped[chosen],
        "many": lambda: many.rows(site, chosen, dtype=None),
        "one": lambda: one.rows(site, chosen, dtype=None),
        "memmap as float32": lambda: mapped[chosen].astype(np.float32),
        "many as float32": lambda: many.rows(site, chosen),
        "memmap in parts": in_parts(mapped.__getitem__),
        "many in parts": in_parts(lambda i: many.rows(site, i, dtype=None)),
    }
    try:
        import zarr
    except ImportError:
        return arms
    array = zarr.create_array(
        folder / "zarr", shape=table.shape, chunks=(1024, width), dtype=table.dtype
    )
    array[:] = table
    return arms | {"zarr": lambda: array.oindex[chosen]}


if __name__ == "__main__":
    main()
