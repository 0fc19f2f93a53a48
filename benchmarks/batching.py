"""What batches under a token budget save on texts of very different lengths.

    python -m benchmarks.batching --data jigsaw:PATH

Counted on 10,000 texts: padded tokens computed under our plan, for random order padded to the
longest of each batch of 32, and for padding every text to the context of 1,024. Timed on 512 with
the base model of a random GPT-2 small. What is padded is timed on a few texts, its cost being
that of its width: of each batch in random order 4 of the 32 run, padded to the longest of all 32,
of the texts padded to 1,024 another 4; both are scaled by padded tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import Figure, arguments, interleave, report, start
from benchmarks.material import CONTEXT, language_model, lengths, token_table

BATCH = 32
SAMPLE = 4


def main() -> None:
    parser = arguments(__doc__, data=True)
    parser.add_argument("--texts", type=int, default=10_000, help="counted")
    parser.add_argument("--timed", type=int, default=512)
    args = start(parser)
    import torch

    torch.set_num_threads(args.threads)
    from bezoar.activations import plan_batches

    counts, origin = lengths(args.data, args.texts)
    plan = plan_batches(counts)
    ours, random = int(plan.padded_tokens.sum()), random_order(counts)
    note = f"{len(counts):,} texts of {int(counts.sum()):,} tokens ({origin})"
    figures = [
        Figure(
            "useful share of computed tokens, counted",
            0.95,
            [plan.useful_share],
            unit="",
            note=note,
        ),
        Figure(f"random order in batches of {BATCH}: × our tokens, counted", 4, [random / ours]),
        Figure(
            f"all padded to {CONTEXT:,}: × our tokens, counted", 10, [len(counts) * CONTEXT / ours]
        ),
    ]
    if args.repeats:
        figures += timed(args, counts[: args.timed])
    report(args, *figures)


def random_order(counts: np.ndarray) -> int:
    """Padded tokens if texts run as they come."""
    starts = range(0, len(counts), BATCH)
    return sum(len(part) * int(part.max()) for part in (counts[i : i + BATCH] for i in starts))


def timed(args: Any, counts: np.ndarray) -> list[Figure]:
    """The same by the clock."""
    import torch

    from bezoar.activations import plan_batches

    lm = language_model()
    table = token_table(counts, lm.d_vocab)
    plan = plan_batches(counts)
    starts = range(0, len(counts), BATCH)
    widths = [int(counts[start : start + BATCH].max()) for start in starts]
    samples = [table.rows(range(i, min(i + SAMPLE, len(counts)))) for i in starts]

    def forward(rows: list[Any], widths: list[int | None]) -> Callable[[], None]:
        batches = [
            lm.inputs(lm.batch(ids, length=width)) for ids, width in zip(rows, widths, strict=True)
        ]

        def run() -> None:
            with torch.no_grad():
                for batch in batches:
                    lm.anatomy.base(**batch)

        return run

    arms = {
        "ours": forward([table.rows(texts) for texts in plan], [None] * len(plan)),
        "random": forward(samples, [*widths]),
        "context": forward(samples[:1], [CONTEXT]),
    }
    times = interleave(arms, args.repeats, warm=0)
    sampled = sum(len(rows) * width for rows, width in zip(samples, widths, strict=True))
    return [
        times.figure(
            f"random order in batches of {BATCH}: × our time",
            4,
            of="ours",
            to="random",
            scale=random_order(counts) / sampled,
            note=f"{len(counts)} texts of {int(counts.sum()):,} tokens",
        ),
        times.figure(
            f"all padded to {CONTEXT:,}: × our time",
            10,
            of="ours",
            to="context",
            scale=len(counts) / len(samples[0]),
            note=f"padding scaled from {SAMPLE} texts a batch",
        ),
    ]


if __name__ == "__main__":
    main()
