"""AUROC of every neuron over a corpus, against a scikit-learn loop.

    python -m benchmarks.neurons

A store of mlp_post of 12 layers × 3,072 neurons × 20,000 texts (1.5 GB of fp16, GELU of random
numbers, 10 % positives). scikit-learn takes one column after another of some of the neurons, and
its time is scaled to all; ours reads the store and gives AUROC and average precision of them all.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np

from benchmarks.common import Figure, arguments, interleave, report, start
from benchmarks.material import make_store


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=3072)
    parser.add_argument("--columns", type=int, default=128, help="given to scikit-learn")
    args = start(parser)
    folder = Path(tempfile.mkdtemp(prefix="bezoar-benchmark-"))
    try:
        _measure(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(args: argparse.Namespace, folder: Path) -> None:
    from sklearn.metrics import roc_auc_score

    from bezoar.locate import score_neurons

    widths = {f"{layer}.mlp_post": args.width for layer in range(args.layers)}
    store = make_store(folder, args.texts, widths, 16, gelu=True)
    labels = np.random.default_rng(1).random(args.texts) < 0.1
    site = store.sites[args.layers // 2]
    columns = [column.copy() for column in store.rows(site, dtype=None).T[: args.columns]]
    theirs: list[float] = []
    ours: list[np.ndarray] = []

    def scikit_learn() -> None:
        theirs[:] = [roc_auc_score(labels, column) for column in columns]

    def bezoar() -> None:
        ours[:] = [score_neurons(store, labels, shuffles=0).auroc[site]]

    times = interleave({"scikit-learn": scikit_learn, "bezoar": bezoar}, args.repeats)
    difference = np.abs(np.array(theirs) - ours[0][: args.columns]).max()
    tracemalloc.start()
    bezoar()
    allocated = tracemalloc.get_traced_memory()[1] / 2**30
    neurons = args.layers * args.width
    report(
        args,
        times.figure(
            f"AUROC of {neurons:,} neurons × {args.texts:,} texts: × a scikit-learn loop",
            50,
            of="bezoar",
            to="scikit-learn",
            scale=neurons / args.columns,
            note=f"ours with average precision; scikit-learn scaled from {args.columns} neurons",
        ),
        Figure("largest difference to it", 1e-6, [float(difference)], at_least=False, unit=""),
        Figure("memory it allocates at most", 0.3, [allocated], at_least=False, unit="GiB"),
    )


if __name__ == "__main__":
    main()
