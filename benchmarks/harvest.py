"""Harvest of every layer, and of one middle layer, against the bare forward passes.

    python -m benchmarks.harvest --data jigsaw:PATH

All arms run the same batches of the same texts on a random GPT-2 small. ``harvest`` captures
resid_post and mlp_post of all 12 layers, a row a token, and writes them to disk as fp16, with
everything that belongs to it: tokens to batches, checks, hashes, fsync, manifest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import arguments, clear, interleave, report, start
from benchmarks.material import language_model, lengths, token_table


def main() -> None:
    parser = arguments(__doc__, data=True)
    parser.add_argument("--texts", type=int, default=96)
    args = start(parser)
    import torch

    torch.set_num_threads(args.threads)
    from bezoar.activations import harvest, plan_batches

    lm = language_model()
    counts, origin = lengths(args.data, args.texts)
    table = token_table(counts, lm.d_vocab)
    plan = plan_batches(table.lengths)
    batches = [lm.inputs(lm.batch(table.rows(texts))) for texts in plan]
    sites = lm.sites(["resid_post", "mlp_post"])
    middle = [lm.site("5.resid_post"), lm.site("5.mlp_post")]
    folder = Path(tempfile.mkdtemp(prefix="bezoar-benchmark-"))

    def forward(model: Any) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                for batch in batches:
                    model(**batch)

        return run

    def to_disk(where: list[Any], pooling: str) -> Callable[[], object]:
        return lambda: harvest(lm, table, where, pooling=pooling, out=folder, resume=False)

    arms = {
        "base": forward(lm.anatomy.base),
        "logits": forward(lm.model),
        "every token": to_disk(sites, "none"),
        "pooled": to_disk(sites, "mean"),
        "one layer": to_disk(middle, "none"),
    }
    try:
        times = interleave(arms, args.repeats, before=lambda: clear(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    note = f"{len(table)} texts of {len(table.ids):,} tokens ({origin}), {len(plan)} batches"
    base, logits = "a bare forward of the base model", "a Hugging Face forward with logits"
    report(
        args,
        times.figure(
            f"all layers, a row a token, to disk: × {base}",
            0.95,
            of="every token",
            to="base",
            note=note,
        ),
        times.figure(f"the same: × {logits}", 1.4, of="every token", to="logits"),
        times.figure(f"all layers, pooled, to disk: × {base}", 0.95, of="pooled", to="base"),
        times.figure(f"the same: × {logits}", 1.4, of="pooled", to="logits"),
        times.figure(
            f"layer 5 of 0–11, a row a token, to disk: × {logits}", 2.5, of="one layer", to="logits"
        ),
    )


if __name__ == "__main__":
    main()
