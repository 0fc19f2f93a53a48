"""Training a TopK autoencoder against its ceiling, a dense one, and other trainers.

    python -m benchmarks.sae --repeats 3
    PYTHONPATH=PEERS python -m benchmarks.sae --repeats 3        (where they are installed)

768 dimensions, 16,384 latents, 32 active, batches of 4,096 rows, float32. Every arm takes whole
steps on the same rows in turns: reconstruction, gradients, Adam, decoder rows of norm 1, and a loss
for dead latents (of which there are none so early, in any arm). The ceiling is the product x W_enc
and torch's topk alone. Dense is the same step by autograd, with a [batch d_sae] matrix throughout.
Explained variance is taken on rows not trained on, after equal tokens at equal rates, with an
eighth of the dimensions and of the latents, so that there are steps enough to learn in. Memory is
what a process allocates beyond its weights, its optimiser and its rows, at most.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.common import Figure, Timings, arguments, interleave, peak_memory, report, start

LR, FEATURES, ACTIVE = 1e-3, 4_096, 20
OURS, CEILING, DENSE = "bezoar", "encode and topk", "dense"
PEERS = {"SAELens": "sae-lens", "dictionary_learning": "dictionary-learning"}
PEERS |= {"sparsify": "eai-sparsify"}
GOALS = {DENSE: 4.0, "SAELens": 4.0, "dictionary_learning": 4.0, "sparsify": 1.25}

Step = Callable[[Any], None]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--d", type=int, default=768, help="dimensions (default 768)")
    parser.add_argument("--latents", type=int, default=16_384, help="latents (default 16,384)")
    parser.add_argument("--k", type=int, default=32, help="active ones (default 32)")
    parser.add_argument("--batch", type=int, default=4_096, help="rows a step (default 4,096)")
    parser.add_argument("--steps", type=int, default=300, help="for explained variance (300)")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    args = start(parser)
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.memory:
        print(extra_memory(args))
        return
    names = [OURS, DENSE, *(name for name, package in PEERS.items() if has(name, package, args))]
    x = rows(args, 1)[0]
    steps = {name: make(name, args, x)[0] for name in names}
    arms = {CEILING: lambda: ceiling(args, x)}
    arms |= {name: lambda step=step: step(x) for name, step in steps.items()}
    timings = interleave(arms, args.repeats, before=gc.collect)
    del steps, arms
    found = speeds(args, timings, names)
    found += memories(args, names)
    args.d, args.latents, args.batch = args.d // 8, args.latents // 8, args.batch // 8
    report(args, *found, *explained(args, names))


def speeds(args: Any, timings: Timings, names: list[str]) -> list[Figure]:
    """Ratios of training tokens a second."""
    rate = args.batch / min(timings.wall[OURS])
    note = f"{args.d} dimensions, {args.latents:,} latents, k {args.k}, {rate:,.0f} tokens/s"
    found = [timings.figure(f"a step: × {CEILING} alone", 0.7, of=OURS, to=CEILING, note=note)]
    for name in names[1:]:
        found.append(timings.figure(f"a step: × {name}'s", GOALS[name], of=OURS, to=name))
    return found


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
    """Ours less each other's, on rows not trained on."""
    if not args.steps:
        return []
    *train, held_out = rows(args, args.steps + 1)
    features = f"{args.d} dimensions, {args.latents:,} latents"
    got: dict[str, float] = {}
    for name in names:
        step, read = make(name, args, train[0])
        for x in train:
            step(x)
        error = (read(held_out) - held_out).square().sum()
        got[name] = 1 - float(error / (held_out - held_out.mean(0)).square().sum())
        print(f"  {name}: explained variance {got[name]:.3f}", file=sys.stderr)
        del step, read
        gc.collect()
    seen = ", ".join(f"{name} {value:.3f}" for name, value in got.items())
    note = f"{features}, after {args.steps * args.batch:,} tokens: {seen}"
    least = [got[OURS] - max(value for name, value in got.items() if name != OURS)]
    return [Figure("explained variance less the best other's", -0.01, least, unit="", note=note)]


def has(name: str, package: str, args: Any) -> bool:
    """Whether a peer can be measured here; said if not."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            make(name, args, None)
        print(f"{name} {version(package)}", file=sys.stderr)
    except (ImportError, PackageNotFoundError) as error:
        print(f"{name} is not measured: {error}", file=sys.stderr)
        return False
    return True


def measured(name: str, args: Any) -> int:
    """Bytes that an arm allocates beyond what it must hold, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sae", "--memory", name]
    for option in ("threads", "d", "latents", "k", "batch"):
        command += [f"--{option}", str(getattr(args, option))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1])


def extra_memory(args: Any) -> int:
    x = rows(args, 1)[0]
    with contextlib.redirect_stdout(sys.stderr):
        step, _ = make(args.memory, args, x)
    gc.collect()
    before = peak_memory()
    for _ in range(2):
        step(x)
    moments = 2 * 4 * (2 * args.d * args.latents)  # Adam's, which begin with the first step
    return peak_memory() - before - moments


def rows(args: Any, batches: int) -> list[Any]:
    """Sums of few directions out of many, with noise: scaled to a mean norm of √d."""
    import torch

    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(FEATURES, args.d, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    found = []
    for _ in range(batches):
        chosen = torch.randint(FEATURES, (args.batch, ACTIVE), generator=generator)
        weights = 1 + torch.rand(args.batch, ACTIVE, generator=generator)
        x = torch.nn.functional.embedding_bag(
            chosen, directions, per_sample_weights=weights, mode="sum"
        )
        x += 0.02 * torch.randn(x.shape, generator=generator)
        found.append(x * (args.d**0.5 / x.norm(dim=1).mean()))
    return found


def make(name: str, args: Any, x: Any) -> tuple[Step, Callable[[Any], Any]]:
    """A step of an arm, and its reconstruction."""
    makers = {OURS: ours, DENSE: dense, "SAELens": saelens, "sparsify": sparsify}
    return (makers | {"dictionary_learning": dictionary_learning})[name](args, x)


_CEILING: list[Any] = []


def ceiling(args: Any, x: Any) -> None:
    import torch

    if not _CEILING:
        _CEILING.extend([torch.randn(args.latents, args.d), torch.zeros(args.latents)])
    with torch.no_grad():
        torch.addmm(_CEILING[1], x, _CEILING[0].T).topk(args.k, dim=1, sorted=False)


def ours(args: Any, x: Any) -> tuple[Step, Callable[[Any], Any]]:
    from bezoar.sae import SAESpec
    from bezoar.sae.pupil import Plan, Pupil

    plan = Plan(10**6, args.batch, LR, 0.0, 0.0, 10**7, 0)
    pupil = Pupil(SAESpec.parse(f"topk:k={args.k}"), args.d, args.latents, plan)
    if x is not None:
        pupil.begin(x[:256], x.mean(0) * 0)
    number = iter(range(1, 10**6))
    return lambda batch: pupil.step(next(number), batch), lambda batch: pupil.sae(batch)


def dense(args: Any, x: Any) -> tuple[Step, Callable[[Any], Any]]:
    import torch

    W_dec = torch.randn(args.latents, args.d)
    W_dec /= W_dec.norm(dim=1, keepdim=True)
    W_enc, b_enc, b_dec = W_dec.T.clone(), torch.zeros(args.latents), torch.zeros(args.d)
    weights = [w.requires_grad_(True) for w in (W_enc, b_enc, W_dec, b_dec)]
    adam = torch.optim.Adam(weights, lr=LR)

    def read(batch: Any) -> Any:
        pre = torch.addmm(b_enc, batch - b_dec, W_enc)
        best = pre.topk(args.k, dim=1, sorted=False)
        latents = torch.zeros_like(pre).scatter(1, best.indices, best.values.relu())
        return latents @ W_dec + b_dec

    def step(batch: Any) -> None:
        (read(batch) - batch).square().sum(1).mean().backward()
        with torch.no_grad():
            grad = W_dec.grad
            grad -= torch.linalg.vecdot(grad, W_dec)[:, None] * W_dec
            adam.step()
            adam.zero_grad()
            W_dec.div_(W_dec.norm(dim=1, keepdim=True))

    return step, lambda batch: read(batch).detach()


def saelens(args: Any, x: Any) -> tuple[Step, Callable[[Any], Any]]:
    """SAELens' own step: forward pass, backward pass, clipping, Adam; sparse as it recommends."""
    import torch
    from sae_lens.saes.sae import TrainStepInput
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=args.d, d_sae=args.latents, k=args.k))
    adam = torch.optim.Adam(sae.parameters(), lr=LR)
    silent = torch.zeros(args.latents)

    def step(batch: Any) -> None:
        seen = {"sae_in": batch, "coefficients": {}, "dead_neuron_mask": silent > 1_000}
        names = TrainStepInput.__dataclass_fields__
        more = {"n_training_steps": 0, "is_logging_step": False}
        given = seen | {name: more[name] for name in more if name in names}
        out = sae.training_forward_pass(TrainStepInput(**given))
        with torch.no_grad():
            acts = out.feature_acts
            fired = (acts.to_dense() if acts.is_sparse else acts).bool().any(0)
            silent.add_(1).masked_fill_(fired, 0)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    return step, lambda batch: sae(batch).detach()


def sparsify(args: Any, x: Any) -> tuple[Step, Callable[[Any], Any]]:
    """The step of sparsify's trainer on its SparseCoder, with Adam in place of Signum."""
    import torch
    from sparsify import SparseCoder, SparseCoderConfig

    config = SparseCoderConfig(num_latents=args.latents, k=args.k, normalize_decoder=True)
    sae = SparseCoder(args.d, config)
    adam = torch.optim.Adam(sae.parameters(), lr=LR)
    silent = torch.zeros(args.latents, dtype=torch.int64)

    def step(batch: Any) -> None:
        out = sae(batch, dead_mask=None)  # as its trainer passes it while none is dead
        (out.fvu + out.auxk_loss / 32).backward()
        with torch.no_grad():
            silent.add_(len(batch))
            silent[out.latent_indices.flatten()] = 0
            bool((silent > 10_000_000).any())
        sae.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        sae.set_decoder_norm_to_unit_norm()

    return step, lambda batch: sae(batch).sae_out.detach()


def dictionary_learning(args: Any, x: Any) -> tuple[Step, Callable[[Any], Any]]:
    from dictionary_learning.trainers.top_k import TopKTrainer

    settings = {"activation_dim": args.d, "dict_size": args.latents, "k": args.k, "device": "cpu"}
    settings |= {"layer": 0, "lm_name": "", "steps": 10**6, "lr": LR, "seed": 0}
    settings |= {"warmup_steps": 0, "auxk_alpha": 1 / 32}
    names = TopKTrainer.__init__.__code__.co_varnames
    trainer = TopKTrainer(**{key: value for key, value in settings.items() if key in names})
    number = iter(range(1, 10**6))
    return lambda batch: trainer.update(next(number), batch), lambda batch: trainer.ae(
        batch
    ).detach()


if __name__ == "__main__":
    main()
