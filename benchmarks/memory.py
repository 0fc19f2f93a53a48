"""Peak memory of a harvest to disk, and of reading its rows, as the corpus grows tenfold.

    python -m benchmarks.memory

Each corpus is harvested in a process of its own: resid_post and mlp_post of all layers of a small
random GPT-2 (4 layers of 128: memory for the corpus shows beside so little else), mean-pooled, with
lognormal lengths cut at 64 tokens: the longest batch, and so what the model itself needs, is the
same. Tokenising is included. With ``--tokens`` a row a token is kept, and an epoch of them is read
shuffled, in groups of 4 MB, so that the smaller corpus has several too.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile

from benchmarks.common import Figure, arguments, peak_memory, report, start
from benchmarks.material import byte_tokenizer, lengths

_RUN = "from benchmarks.memory import harvest_texts; print(harvest_texts({n}, {out!r}, {tokens}))"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--texts", type=int, nargs=2, default=(2_000, 20_000))
    parser.add_argument("--tokens", action="store_true", help="a row a token, read shuffled")
    args = start(parser)
    ratios, seen = [], []
    for _ in range(args.repeats):
        few, many = (measured(n, args.tokens) for n in args.texts)
        ratios.append(many / few)
        seen.append((few, many))
    few, many = seen[-1]
    report(
        args,
        Figure(
            f"peak memory at {args.texts[1]:,} texts: × that at {args.texts[0]:,}",
            1.1,
            ratios,
            at_least=False,
            note=f"{few / 2**20:.0f} MiB and {many / 2**20:.0f} MiB",
        ),
    )


def measured(n: int, tokens: bool) -> int:
    """Peak bytes of a process that harvests so many texts."""
    out = tempfile.mkdtemp(prefix="bezoar-benchmark-")
    try:
        command = [sys.executable, "-c", _RUN.format(n=n, out=out, tokens=tokens)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return int(done.stdout.split()[-1])


def harvest_texts(n: int, out: str, tokens: bool) -> int:
    """Make the texts, harvest them, read their rows, and say what memory that took at most."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from bezoar.activations import StoredRows, harvest, rows
    from bezoar.models import LanguageModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=128, n_layer=4, n_head=4)
    lm = LanguageModel(GPT2LMHeadModel(config), tokenizer, name="small random GPT-2")
    texts = ["a" * int(length) for length in lengths(None, n)[0]]
    sites = lm.sites(["resid_post", "mlp_post"])
    pooling = "none" if tokens else "mean"
    store = harvest(lm, texts, sites, pooling=pooling, out=out, max_tokens=64)
    if tokens:
        rows.GROUP_BYTES = 2**22
        for _ in StoredRows(store, sites[-1]).batches(1024):
            pass
    return peak_memory()


if __name__ == "__main__":
    main()
