"""Harvest of every layer against TransformerLens and nnsight, in the environment of either.

    pip install transformer-lens==4.3.0 -c constraints.txt       (or nnsight==0.8.1)
    python -m benchmarks.peers --data jigsaw:PATH

All arms run the same batches on the same random GPT-2 small and read the same 24 sites: ours pools
nothing, checks values, and writes and hashes fp16 shards on disk; theirs only keep what they read.
*As called*: what their pages show, the model with its logits. *At its best*: without logits.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, Timings, arguments, clear, interleave, report, start
from benchmarks.material import language_model, lengths, token_table

Arms = dict[str, Callable[[], object]]


def main() -> None:
    parser = arguments(__doc__, data=True)
    parser.add_argument("--texts", type=int, default=48)
    args = start(parser)
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(args.threads)
    from bezoar.activations import harvest, plan_batches

    lm = language_model()
    counts, origin = lengths(args.data, args.texts)
    table = token_table(counts, 256)
    plan = plan_batches(table.lengths)
    batches = [lm.batch(table.rows(texts)) for texts in plan]
    folder = Path(tempfile.mkdtemp(prefix="bezoar-benchmark-"))
    sites = lm.sites(["resid_post", "mlp_post"])

    def ours(pooling: Any) -> Callable[[], object]:
        out = folder / "store"
        return lambda: harvest(lm, table, sites, pooling=pooling, out=out, resume=False)

    try:
        lm.model.save_pretrained(folder / "model")
        lm.tokenizer.save_pretrained(folder / "model")
        theirs = transformer_lens(lm, folder / "model", batches) | nnsight(lm, batches)
        with torch.inference_mode():
            arms = {"bezoar": ours("none"), "pooled": ours("mean")} | theirs
            times = interleave(arms, args.repeats, before=lambda: clear(folder / "store"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    note = f"{len(table)} texts of {len(table.ids):,} tokens ({origin}), {len(plan)} batches"
    report(args, *[figure for name in theirs for figure in figures(times, name, note)])


def figures(times: Timings, name: str, note: str) -> list[Figure]:
    """Ours, a row a token and pooled, against one way of calling a peer."""
    goal = 1.4 if name.endswith("as called") else 1.0
    return [
        times.figure(f"a row a token, to disk: × {name}", goal, of="bezoar", to=name, note=note),
        times.figure(f"pooled, to disk: × {name}", goal, of="pooled", to=name),
    ]


def transformer_lens(lm: Any, folder: Path, batches: list[Any]) -> Arms:
    """Its bridge with a cache of the same names."""
    try:
        from transformer_lens.model_bridge import TransformerBridge
    except ImportError:
        return {}
    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu")
    names = [f"blocks.{i}.{hook}" for i in range(12) for hook in ("hook_out", "mlp.hook_post")]
    _, cache = bridge.run_with_cache(batches[-1].input_ids, names_filter=names)
    found = [name for name in names if name in cache]
    if len(found) != len(names):
        raise SystemExit(f"TransformerLens cached {found}, of {sorted(cache.keys())[:40]}")

    def run(**options: Any) -> Callable[[], None]:
        def all_batches() -> None:
            for batch in batches:
                bridge.run_with_cache(
                    batch.input_ids,
                    attention_mask=batch.attention_mask,
                    names_filter=names,
                    **options,
                )

        return all_batches

    return {
        "TransformerLens as called": run(),
        "TransformerLens at its best": run(return_type=None, stop_at_layer=12),
    }


def nnsight(lm: Any, batches: list[Any]) -> Arms:
    """Its tracing context with the same modules saved."""
    try:
        from nnsight import NNsight
    except ImportError:
        return {}
    model = copy.deepcopy(lm.model)  # it wraps the modules of what it is given
    whole, base = NNsight(model), NNsight(model.base_model)

    def run(model: Any, blocks: Any) -> Callable[[], None]:
        def all_batches() -> None:
            for batch in batches:
                with model.trace(**lm.inputs(batch)):
                    kept = []
                    for block in blocks:
                        kept.append(block.mlp.act.output.save())
                        kept.append(block.output.save())

        return all_batches

    return {
        "nnsight as called": run(whole, whole.transformer.h),
        "nnsight at its best": run(base, base.h),
    }


if __name__ == "__main__":
    main()
