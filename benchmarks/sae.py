"""Training a TopK autoencoder against its ceiling, a dense one, and other trainers.

    python -m benchmarks.sae --repeats 3
    PYTHONPATH=PEERS python -m benchmarks.sae --repeats 3        (where they are installed)
    PYTHONPATH=PEERS python -m benchmarks.sae --device cuda --latents 32768 --precision high

768 dimensions, 16,384 latents, 32 active, batches of 4,096 rows, float32. Every arm takes whole
steps on the same rows in turns: reconstruction, gradients, Adam, decoder rows of norm 1, and a loss
for dead latents (of which there are none so early, in any arm). The ceiling is the product x W_enc
and torch's topk alone. Dense is the same step by autograd, with a [batch d_sae] matrix throughout.
Memory is what a process allocates beyond its weights, its optimiser and its rows, at most.

Explained variance is taken on rows that nothing was trained on, after equal tokens: of a planted
dictionary of a quarter as many features, an eighth of the dimensions and latents, and of the demo
model's middle layer on the demo corpus. There all arms begin with the same weights and learn from
the same batches, at rates that rise for a twentieth of the steps and fall for a fifth.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.common import Figure, Timings, arguments, interleave, peak_memory, report, start
from benchmarks.trainers import DENSE, LR, MAKERS, OURS, PACKAGES, Arm, first_weights

CEILING, PRODUCT = "encode and topk", "the product x W_enc"
GOALS = {DENSE: 4.0, "SAELens": 4.0, "dictionary_learning": 4.0, "sparsify": 1.25}
ON_ACCELERATORS = 1.5
MANY = 20  # steps between two looks at the clock, where a step takes milliseconds


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--d", type=int, default=768, help="dimensions (default 768)")
    parser.add_argument("--latents", type=int, default=16_384, help="latents (default 16,384)")
    parser.add_argument("--k", type=int, default=32, help="active ones (default 32)")
    parser.add_argument("--batch", type=int, default=4_096, help="rows a step (default 4,096)")
    parser.add_argument("--steps", type=int, default=300, help="for explained variance (300)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default cpu)")
    parser.add_argument(
        "--precision",
        choices=("highest", "high", "medium"),
        default="highest",
        help="of products, in every arm; high allows TF32 (default highest)",
    )
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    args = start(parser)
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision(args.precision)
    torch.manual_seed(0)
    if args.memory:
        print(extra_memory(args))
        return
    names = [OURS, DENSE, *(name for name in PACKAGES if has(name, args))]
    found = speeds(args, names) + memories(args, names)
    report(args, *found, *explained(args, names))


def speeds(args: Any, names: list[str]) -> list[Figure]:
    """Ratios of training tokens a second."""
    x = next(planted(args)).to(args.device)
    weights = first_weights(x[:256].cpu(), args.latents, args.k)
    W, b = weights["W_enc"].to(args.device), weights["b_enc"].to(args.device)
    arms = {name: MAKERS[name](args) for name in names}
    for arm in arms.values():
        arm.begin(weights)

    def encode() -> Any:
        return torch.addmm(b, x, W)

    import torch

    work: dict[str, Callable[[], Any]] = {PRODUCT: encode}
    work[CEILING] = lambda: encode().topk(args.k, dim=1, sorted=False)
    work |= {name: lambda arm=arm: arm.step(x, LR) for name, arm in arms.items()}
    timings = interleave(
        {name: lambda run=run: finished(args, run) for name, run in work.items()}, args.repeats
    )
    return ratios(args, timings, names)


def finished(args: Any, run: Callable[[], Any]) -> None:
    """Do it; on an accelerator many times, and wait until it is done."""
    import torch

    if args.device == "cpu":
        run()
        return
    for _ in range(MANY):
        run()
    torch.cuda.synchronize(args.device)


def ratios(args: Any, timings: Timings, names: list[str]) -> list[Figure]:
    fastest = {name: min(seconds) for name, seconds in timings.wall.items()}
    rate = args.batch * (1 if args.device == "cpu" else MANY) / fastest[OURS]
    share = fastest[PRODUCT] / fastest[OURS]
    note = f"{args.d} dimensions, {args.latents:,} latents, k {args.k}, {rate:,.0f} tokens/s; "
    note += f"{PRODUCT} alone takes {share:.0%} of a step; {where(args)}"
    found = [timings.figure(f"a step: × {CEILING} alone", 0.7, of=OURS, to=CEILING, note=note)]
    for name in names[1:]:
        goal = GOALS[name] if args.device == "cpu" else ON_ACCELERATORS
        found.append(timings.figure(f"a step: × {name}'s", goal, of=OURS, to=name))
    return found


def where(args: Any) -> str:
    """The device, and how it multiplies."""
    import torch

    name = args.device if args.device == "cpu" else torch.cuda.get_device_name(args.device)
    return f"{name}, precision {args.precision}"


def memories(args: Any, names: list[str]) -> list[Figure]:
    """Ours as a share of each other's."""
    extra = {name: measured(name, args) for name in names}
    seen = ", ".join(f"{name} {peak / 2**20:,.0f} MiB" for name, peak in extra.items())
    found = []
    for name in names[1:]:
        share, goal = [extra[OURS] / extra[name]], 0.5 if name in (DENSE, "SAELens") else 1.0
        claim = f"memory beyond weights and optimiser: × {name}'s"
        found.append(Figure(claim, goal, share, at_least=False, note=seen))
        seen = ""
    return found


def explained(args: Any, names: list[str]) -> list[Figure]:
    """Ours less the best other's, on rows not trained on."""
    if not args.steps:
        return []
    small = argparse.Namespace(**vars(args))
    small.d, small.latents, small.batch = args.d // 8, args.latents // 8, args.batch // 8
    found = [best(small, names, planted(small), "a planted dictionary")]
    small.d, rows = demo(small)
    return [*found, best(small, names, rows, "the demo model")]


def best(args: Any, names: list[str], batches: Iterator[Any], data: str) -> Figure:
    """Of one set of batches, the first of which nothing is trained on."""
    from bezoar.sae.pupil import Plan

    held_out, *train = (next(batches).to(args.device) for _ in range(args.steps + 1))
    weights = first_weights(train[0].cpu(), args.latents, args.k)
    plan = Plan(args.steps, args.batch, LR, 0.05, 0.2, 1, 0)
    spread = (held_out - held_out.mean(0)).square().sum()
    got: dict[str, float] = {}
    for name in names:
        arm: Arm = MAKERS[name](args)
        arm.begin(weights)
        for number, x in enumerate(train):
            arm.step(x, plan.rate(number, LR))
        got[name] = 1 - float((arm.read(held_out).detach() - held_out).square().sum() / spread)
        print(f"  {data}, {name}: explained variance {got[name]:.4f}", file=sys.stderr)
        del arm
        gc.collect()
    seen = ", ".join(f"{name} {value:.4f}" for name, value in got.items())
    tokens = args.steps * args.batch
    note = f"{args.d} dimensions, {args.latents:,} latents, after {tokens:,} tokens: {seen}"
    least = [got[OURS] - max(value for name, value in got.items() if name != OURS)]
    claim = f"explained variance less the best other's, {data}"
    return Figure(claim, -0.01, least, unit="", note=note)


def planted(args: Any) -> Iterator[Any]:
    """Batches of sums of few directions out of many, with noise: of a mean norm of √d."""
    import torch

    features, active = max(args.k, args.latents // 4), max(1, args.k // 2)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(features, args.d, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    while True:
        chosen = torch.randint(features, (args.batch, active), generator=generator)
        weights = 1 + torch.rand(args.batch, active, generator=generator)
        x = torch.nn.functional.embedding_bag(
            chosen, directions, per_sample_weights=weights, mode="sum"
        )
        x += 0.02 * torch.randn(x.shape, generator=generator)
        yield x * (args.d**0.5 / x.norm(dim=1).mean())


def demo(args: Any) -> tuple[int, Iterator[Any]]:
    """The width of the demo model, and batches of its states: those of every tenth text first."""
    import numpy as np

    from bezoar import LanguageModel, load_corpus
    from bezoar.activations import StoredRows, harvest

    lm = LanguageModel.from_pretrained("demo", device="cpu")
    site = lm.site(f"{lm.n_layers // 2}.resid_post")
    texts = load_corpus("demo").texts
    store = harvest(lm, texts, [site], pooling="none", max_tokens=128)
    held = np.arange(len(texts)) % 10 == 0
    rows = [StoredRows(store, site, some) for some in (held, ~held)]
    scale = lm.d_model**0.5 / float(next(rows[1].batches(8 * args.batch)).norm(dim=1).mean())

    def batches() -> Iterator[Any]:
        yield next(rows[0].batches(min(8 * args.batch, rows[0].n_rows))) * scale
        for epoch in range(args.steps):
            yield from (x * scale for x in rows[1].batches(args.batch, epoch))

    return lm.d_model, batches()


def has(name: str, args: Any) -> bool:
    """Whether a peer can be measured here; said if not."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            MAKERS[name](args)
        print(f"{name} {version(PACKAGES[name])}", file=sys.stderr)
    except (ImportError, PackageNotFoundError) as error:
        print(f"{name} is not measured: {error}", file=sys.stderr)
        return False
    return True


def measured(name: str, args: Any) -> int:
    """Bytes that an arm allocates beyond what it must hold, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sae", "--memory", name]
    for option in ("threads", "d", "latents", "k", "batch", "device", "precision"):
        command += [f"--{option}", str(getattr(args, option))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1])


def extra_memory(args: Any) -> int:
    import torch

    def held() -> int:
        on_cpu = args.device == "cpu"
        return peak_memory() if on_cpu else torch.cuda.max_memory_allocated(args.device)

    x = next(planted(args)).to(args.device)
    with contextlib.redirect_stdout(sys.stderr):
        arm = MAKERS[args.memory](args)
    with torch.no_grad():  # in place: what is allocated now would hide what a step allocates
        arm.W_dec.normal_().div_(arm.W_dec.norm(dim=1, keepdim=True))
        arm.W_enc.copy_(arm.W_dec.T)
    gc.collect()
    if args.device != "cpu":
        torch.cuda.reset_peak_memory_stats(args.device)
    before = held()
    for _ in range(2):
        arm.step(x, LR)
    moments = 2 * 4 * (2 * args.d * args.latents)  # Adam's, which begin with the first step
    return held() - before - moments


if __name__ == "__main__":
    main()
