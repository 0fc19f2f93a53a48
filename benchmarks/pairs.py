"""Steered pairs against PPLM's, a pair.

    python -m benchmarks.pairs --repeats 3

A random GPT-2 of the bundled model's size continues the same prompts of 24 to 32 tokens by 20, in
both ways: steered (both sides in one pass), and by PPLM with Table 6 of Lee et al. 2024 and the
greedy side beside it. All prompts go together in either. Pairs count as they are written: with
random weights no side is toxic.
"""

from __future__ import annotations

import numpy as np

from benchmarks.common import Figure, Timings, arguments, interleave, report, start
from benchmarks.pplm import random_model


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--new", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--vocabulary", type=int, default=8192)
    args = start(parser)
    import torch

    torch.set_num_threads(args.threads)
    from bezoar.locate import Direction
    from bezoar.models import Decoding
    from bezoar.pairs import PPLM, pplm_pairs, steered_pairs

    lm = random_model(args.layers, args.width, args.vocabulary)
    rng = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz ")
    prompts = ["".join(rng.choice(letters, n)) for n in rng.integers(24, 33, args.prompts)]
    middle, last = (lm.site(f"{layer}.resid_post") for layer in ((lm.n_layers - 1) // 2, -1))
    direction = Direction.of(torch.randn(lm.d_model), middle)
    probe = Direction.of(torch.randn(lm.d_model), last, pooling="mean")
    sampled = Decoding(args.new, sample=True, top_p=0.9)
    settings = PPLM(length=args.new, iterations=args.iterations)
    rows: dict[str, int] = {}

    def steered() -> None:
        made = steered_pairs(lm, prompts, direction, decoding=sampled)
        rows["steered"] = made.origin.rows

    def pplm() -> None:
        rows["PPLM"] = pplm_pairs(lm, prompts, probe, settings).origin.rows

    times = interleave({"steered": steered, "PPLM": pplm}, args.repeats, warm=0)
    report(args, figure(times, rows))


def figure(times: Timings, rows: dict[str, int]) -> Figure:
    """How many times as fast a pair is written by steering."""
    note = f"{rows['steered']} pairs by steering, {rows['PPLM']} by PPLM"
    scale = rows["steered"] / rows["PPLM"]
    return times.figure(
        "a steered pair: × one of PPLM", 50, of="steered", to="PPLM", note=note, scale=scale
    )


if __name__ == "__main__":
    main()
