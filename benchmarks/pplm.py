"""PPLM of many prompts at once against one prompt at a time.

    python -m benchmarks.pplm

A random GPT-2 of the bundled model's size steers 32 prompts of 24 to 32 tokens by 3 tokens, with
Table 6 of Lee et al. 2024 but for 10 iterations a token: every iteration costs the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.common import Figure, Timings, arguments, interleave, report, start
from benchmarks.material import byte_tokenizer


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--new", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--vocabulary", type=int, default=8192)
    args = start(parser)
    import torch

    torch.set_num_threads(args.threads)
    from bezoar.locate import Direction
    from bezoar.pairs import PPLM, pplm

    lm = random_model(args.layers, args.width, args.vocabulary)
    rng = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz ")
    prompts = ["".join(rng.choice(letters, n)) for n in rng.integers(24, 33, args.prompts)]
    probe = Direction.of(torch.randn(lm.d_model), lm.site("-1.resid_post"), pooling="mean")
    settings = PPLM(length=args.new, iterations=args.iterations)
    found: dict[str, Any] = {}

    def arm(name: str, batch_tokens: int) -> Any:
        def run() -> None:
            written = pplm(lm, prompts, probe, settings, batch_tokens=batch_tokens)
            found[name] = written.tokens

        return run

    arms = {"together": arm("together", 1 << 20), "one by one": arm("one by one", 1)}
    times = interleave(arms, args.repeats)
    report(args, figure(times, args.prompts, same=found["together"] == found["one by one"]))


def figure(times: Timings, prompts: int, *, same: bool) -> Figure:
    """How many times as fast all prompts together are; whether both arms wrote the same."""
    note = f"both write {'the same' if same else 'OTHER'} tokens"
    claim = f"PPLM of {prompts} prompts together: × one at a time"
    return times.figure(claim, 5, of="together", to="one by one", note=note)


def random_model(layers: int, width: int, vocabulary: int) -> Any:
    """A random GPT-2; no text may end early, or the arms would not do the same work."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from bezoar.models import LanguageModel

    torch.manual_seed(0)
    heads = max(1, width // 32)
    config = GPT2Config(
        n_layer=layers, n_embd=width, n_head=heads, vocab_size=vocabulary, n_positions=256
    )
    model = GPT2LMHeadModel(config).eval()
    model.generation_config.eos_token_id = []
    return LanguageModel(model, byte_tokenizer(), name="random GPT-2")


if __name__ == "__main__":
    main()
