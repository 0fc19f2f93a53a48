"""Generation with an edit applied against Hugging Face's ``generate`` without one.

    python -m benchmarks.generation

A random GPT-2 small continues 16 prompts of 32 tokens by 20 tokens, greedily, all with a cache.
The edits: a direction subtracted at the last layer, and one projected out of every layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.common import Figure, Timings, arguments, interleave, report, start
from benchmarks.material import language_model


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--new", type=int, default=20)
    args = start(parser)
    import torch

    torch.set_num_threads(args.threads)
    from bezoar.models import Decoding, generate

    lm = language_model()
    # No text may end early, or the arms would not do the same work.
    lm.model.generation_config.eos_token_id = None
    rng = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz ")
    prompts = ["".join(rng.choice(letters, args.tokens)) for _ in range(args.prompts)]
    decoding = Decoding(max_new_tokens=args.new)
    batch = lm.batch(lm.encode(prompts), side="left")
    found: dict[str, Any] = {}

    def theirs() -> None:
        with torch.no_grad():
            ids = lm.model.generate(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                max_new_tokens=args.new,
                min_new_tokens=args.new,
                do_sample=False,
                pad_token_id=0,
            )
        found["theirs"] = ids[:, args.tokens :].tolist()

    def ours() -> None:
        found["ours"] = [list(row) for row in generate(lm, prompts, decoding).tokens]

    def edited(edit: Any) -> Any:
        def run() -> None:
            with edit.applied_to(lm):
                generate(lm, prompts, decoding)

        return run

    last, every = _edits(lm)
    arms = {"theirs": theirs, "ours": ours, "last layer": edited(last), "every": edited(every)}
    times = interleave(arms, args.repeats)
    report(args, *figures(times, same=found["theirs"] == found["ours"]))


def figures(times: Timings, *, same: bool) -> list[Figure]:
    """Generation with an edit and without against theirs; whether both gave the same tokens."""
    what = "Hugging Face generate"
    claims = {
        "last layer": f"generate, a direction subtracted at the last layer: × {what} without",
        "every": f"generate, a direction projected out of every layer: × {what} without",
        "ours": f"generate without an edit: × {what}",
    }
    found = [times.figure(claim, 0.9, of=arm, to="theirs") for arm, claim in claims.items()]
    found[0].note = f"without an edit both give {'the same' if same else 'OTHER'} tokens"
    return found


def _edits(lm: Any) -> tuple[Any, Any]:
    """A shift of the last residual state; a projection of every one."""
    import torch

    from bezoar.edits import ActivationEdit, Add, Project

    direction = torch.nn.functional.normalize(torch.randn(lm.d_model), dim=0)
    every = lm.sites(["resid_post"])
    shift, removal = Add(-5 * direction), Project(direction[None])
    return ActivationEdit.at(every[-1:], shift), ActivationEdit.at(every, removal)


if __name__ == "__main__":
    main()
