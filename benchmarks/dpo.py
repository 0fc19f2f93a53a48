"""A step of DPO against TRL's trainer, in time and in memory.

    python -m benchmarks.dpo --repeats 3

A random GPT-2 small, batches of 4 pairs of 64 tokens (32 of a prompt both sides share, 32 of an
answer), AdamW, float32. TRL runs twice: as it comes, with the reference in every step, and with the
reference computed before. bezoar always computes it once; its cost a pair is a figure of its own. A
step is timed from the end of the one before; the first of a run is left out. Memory is the peak of
a process that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.common import Figure, Timings, arguments, peak_memory, report, start
from benchmarks.material import language_model

PAIRS, PROMPT, ANSWER = 4, 32, 32
ARMS = ("bezoar", "TRL", "TRL, reference before")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a run (default 4)")
    parser.add_argument("--memory", choices=ARMS, help=argparse.SUPPRESS)
    args = start(parser)
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(args.threads)
    if args.memory:
        run(args.memory, args.steps)
        print(peak_memory())
        return
    arms = ARMS if has_trl() else ARMS[:1]
    timings, reference = Timings(), []
    for turn in range(args.repeats):
        for name in arms[turn % len(arms) :] + arms[: turn % len(arms)]:
            wall, cpu, before = run(name, args.steps)
            timings.wall.setdefault(name, []).append(wall)
            timings.cpu.setdefault(name, []).append(cpu)
            print(f"  {name}: {wall:.3f} s a step, processor {cpu:.3f} s", file=sys.stderr)
            if name == "bezoar":
                reference.append(before / wall)
    report(args, *figures(args, timings, reference))


def has_trl() -> bool:
    """Whether TRL can be measured."""
    try:
        import trl
    except ImportError:
        print("TRL is not installed: only bezoar is measured.", file=sys.stderr)
        return False
    print(f"TRL {trl.__version__}", file=sys.stderr)
    return True


def figures(args: Any, timings: Timings, reference: list[float]) -> list[Figure]:
    """Ratios of steps, of steps with the reference, of memory."""
    once = Figure("the reference of a step's pairs, once: × a step", 1.0, reference, at_least=False)
    if ARMS[1] not in timings.wall:
        return [once]
    note = f"{PAIRS} pairs of {PROMPT} + {ANSWER} tokens"
    found = [
        timings.figure("a step: × TRL", 1.6, of="bezoar", to=ARMS[1], note=note),
        timings.figure("a step: × TRL, reference before", 1.35, of="bezoar", to=ARMS[2]),
    ]
    whole = [
        theirs / (ours * (1 + share))
        for theirs, ours, share in zip(
            timings.wall[ARMS[1]], timings.wall["bezoar"], reference, strict=True
        )
    ]
    found.append(Figure("a step and its reference: × TRL, a single pass", 1.0, whole))
    peaks = {name: measured(name, args) for name in ARMS}
    seen = ", ".join(f"{name} {peak / 2**20:,.0f} MiB" for name, peak in peaks.items())
    share = [peaks["bezoar"] / peaks[ARMS[1]]]
    return [*found, once, Figure("peak memory: × TRL's", 0.88, share, at_least=False, note=seen)]


def measured(name: str, args: Any) -> int:
    """Peak bytes of a process that runs one arm."""
    command = [sys.executable, "-m", "benchmarks.dpo", "--memory", name, "--steps", "2"]
    command += ["--threads", str(args.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1])


def run(name: str, steps: int) -> tuple[float, float, float]:
    """Wall and processor seconds a step, and the wall seconds of the reference of its pairs."""
    lm = language_model()
    with tempfile.TemporaryDirectory(prefix="bezoar-benchmark-") as folder:
        if name == "bezoar":
            return ours(lm, steps)
        return theirs(lm, steps, folder, before=name != ARMS[1])


def texts(n: int, seed: int) -> list[str]:
    """Random lower-case letters, one token each."""
    rng = np.random.default_rng(seed)
    return ["".join(map(chr, row)) for row in rng.integers(97, 123, (PAIRS * 24, n))]


def ours(lm: Any, steps: int) -> tuple[float, float, float]:
    from bezoar.mitigate.preference import get_recipe, reference_logps, tokenise_pairs, train
    from bezoar.pairs import Pairs

    n = PAIRS * (steps + 1)
    sides = [part[:n] for part in (texts(PROMPT, 0), texts(ANSWER, 1), texts(ANSWER, 2))]
    pairs = Pairs(*map(tuple, sides))
    begun = time.perf_counter()
    reference_logps(lm, tokenise_pairs(lm, pairs), batch_pairs=PAIRS)
    before = (time.perf_counter() - begun) / (steps + 1)
    clock = Clock()
    recipe = get_recipe("small", batch_pairs=PAIRS, epochs=1, eval_every=10**6, eval_batch=PAIRS)
    train(lm, pairs, recipe, validation=pairs.subset(range(2)), progress=clock)
    return (*clock.a_step(), before)


class Clock:
    """Stands for a progress bar: notes when it is told of a step."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    @contextlib.contextmanager
    def task(self, label: str, total: int, unit: str) -> Iterator[Any]:
        yield lambda n: self.tick() if n else None

    def track(self, items: Any, *_: Any, **__: Any) -> Any:
        return items

    def tick(self) -> None:
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def a_step(self) -> tuple[float, float]:
        """Medians, from the end of a step to that of the next."""
        return float(np.median(np.diff(self.wall))), float(np.median(np.diff(self.cpu)))


def theirs(lm: Any, steps: int, folder: str, *, before: bool) -> tuple[float, float, float]:
    from datasets import Dataset, disable_progress_bars
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    disable_progress_bars()
    clock = Clock()

    class Ticks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick()

    n = PAIRS * (steps + 1)
    # It ends every answer with one token more.
    rows = {"prompt": texts(PROMPT, 0), "chosen": texts(ANSWER - 1, 1)}
    rows["rejected"] = texts(ANSWER - 1, 2)
    trainer = DPOTrainer(
        model=lm.model,
        ref_model=None if before else language_model().model,
        args=DPOConfig(
            folder,
            per_device_train_batch_size=PAIRS,
            max_steps=steps + 1,
            learning_rate=1e-6,
            optim="adamw_torch_fused",
            precompute_ref_log_probs=before,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        processing_class=lm.tokenizer,
        train_dataset=Dataset.from_dict({key: value[:n] for key, value in rows.items()}),
        callbacks=[Ticks()],
    )
    trainer.train()
    return (*clock.a_step(), 0.0)


if __name__ == "__main__":
    main()
