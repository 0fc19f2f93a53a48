"""Batches of shuffled rows to train on, out of a store, against np.memmap.

    python -m benchmarks.rows

Both give rows of one site in float32 tensors, a batch at a time: the store, of many shards with two
sites in each, in the order of an epoch, which it makes; the memory-mapped file, of that site alone,
in an order that was made before. Warm, all is in the system's cache, and an epoch is read. Cold, it
is dropped from the cache before each turn and comes off the disk: only some batches are read, for
single rows off a disk take their time.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.common import arguments, interleave, report, start
from benchmarks.material import make_store

SITE = "0.resid_post"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--cold", type=int, default=45, help="batches of a turn on cold files")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    args = start(parser)
    folder = Path(tempfile.mkdtemp(prefix="bezoar-benchmark-", dir=args.folder))
    try:
        _measure(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(args: argparse.Namespace, folder: Path) -> None:
    import torch

    from bezoar.activations import StoredRows

    widths = {SITE: args.width, "1.resid_post": args.width}
    store = make_store(folder / "store", args.rows, widths, args.shards)
    ours = StoredRows(store, SITE)
    flat = folder / "rows.bin"
    with flat.open("wb") as file:
        for at in range(0, args.rows, 2**14):
            file.write(store.rows(SITE, slice(at, at + 2**14), dtype=None))
    order = np.random.default_rng(0).permutation(args.rows)

    def theirs() -> Iterable[torch.Tensor]:
        mapped = np.memmap(flat, np.float16, "r", shape=(args.rows, args.width))
        for at in range(0, args.rows - args.batch + 1, args.batch):
            yield torch.from_numpy(mapped[order[at : at + args.batch]]).float()

    def drop() -> None:
        gc.collect()
        store.forget(SITE)
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    warm = interleave(
        {"rows": lambda: _pass(ours.batches(args.batch)), "memmap": lambda: _pass(theirs())},
        args.repeats,
    )
    os.sync()  # what is not on disk yet cannot be dropped
    cold = interleave(
        {
            "rows, cold": lambda: _pass(islice(ours.batches(args.batch), args.cold)),
            "memmap, cold": lambda: _pass(islice(theirs(), args.cold)),
        },
        args.repeats,
        before=drop,
    )
    made = f"{args.rows:,} rows of {args.width}, {args.batch:,} a batch"
    cut = f"the first {args.cold} batches"
    report(
        args,
        warm.figure("shuffled batches, warm: × np.memmap", 0.8, of="rows", to="memmap", note=made),
        cold.figure(
            "shuffled batches, cold: × np.memmap", 0.8, of="rows, cold", to="memmap, cold", note=cut
        ),
    )


def _pass(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


if __name__ == "__main__":
    main()
