"""AUROC of every unit under shuffled labels, from ranks taken once, against counting them anew.

    python -m benchmarks.experts

Pooled activations of 10,368 units (those of the demo model) on 2,000 texts, GELU of random numbers
in 16 bits. `separate_columns` counts every column once a labelling; ours ranks it once, and the
labellings are a matrix product. The former takes some of the labellings, scaled to all.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import Figure, arguments, interleave, report, start


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--units", type=int, default=10_368)
    parser.add_argument("--shuffles", type=int, default=199)
    parser.add_argument("--counted", type=int, default=2, help="labellings that are counted")
    args = start(parser)
    _measure(args)


def _measure(args: argparse.Namespace) -> None:
    import torch

    from bezoar.stats import separate_columns, shuffled_labels
    from bezoar.stats.ranks import auroc_of_ranks, doubled_ranks, sortable_columns

    torch.manual_seed(0)
    values = torch.nn.functional.gelu(torch.randn(args.texts, args.units)).half().numpy()
    labels = np.arange(args.texts) % 2
    labellings = np.stack([labels, *shuffled_labels(labels, args.shuffles)])
    counted: list[np.ndarray] = []
    ranked: list[np.ndarray] = []

    def count() -> None:
        counted[:] = [separate_columns(values, y).auroc for y in labellings[: args.counted]]

    def rank() -> None:
        ranked[:] = [
            auroc_of_ranks(doubled_ranks(rows), labellings) for _, rows in sortable_columns(values)
        ]

    times = interleave({"counted": count, "ranked": rank}, args.repeats)
    found = np.concatenate(ranked)[:, : args.counted].T
    report(
        args,
        times.figure(
            f"{args.units:,} units × {args.texts:,} texts × {args.shuffles} shuffles: × counting",
            40,
            of="ranked",
            to="counted",
            scale=len(labellings) / args.counted,
            note=f"counted scaled from {args.counted} labellings",
        ),
        Figure(
            "largest difference to it",
            0.0,
            [float(np.abs(found - np.array(counted)).max())],
            at_least=False,
            unit="",
        ),
    )


if __name__ == "__main__":
    main()
