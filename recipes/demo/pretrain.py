"""Train a rung of the ladder, or its masked twin, in one pass over the packed stream.

    python recipes/demo/pretrain.py --data-root DATA --out OUT [--size 0.5|1.5|4.5]
        [--objective next|masked] [--minutes 150]

One thread, fp32. The learning rate warms up and then falls linearly to zero; it is fixed by the
number of steps, and the windows of a step by the seed, so a run that was stopped and started again
gives the same weights bit for bit (on the same machine). A checkpoint is written every five
minutes; ``--minutes`` bounds the CPU time of all starts together. ``WORK/log.jsonl`` tells the
loss, and bits per byte of reserved text at every checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from networks import Objective, Rates, build, masked_loss, next_loss, optimisers
from stream import CONTEXT, END_ID, Stream, layout, prepare, window_batch, windows
from torch.nn import functional as F
from transformers import PreTrainedModel

BATCH = 16  # windows in a step
WARM_UP = 0.03  # of the steps
LOG_EVERY = 20  # steps
CHECKPOINT_SECONDS = 300
MEASURED = 96  # windows of each reserve at a checkpoint


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides the weights, beside the stream."""

    size: str = "4.5"
    objective: Objective = "next"
    seed: int = 0
    batch: int = BATCH
    steps: int | None = None  # None: as many as one pass over the stream has
    rates: Rates = field(default_factory=Rates)


def scale(step: int, steps: int) -> float:
    """The share of the peak learning rate at a step: linear warm-up, then linear decay to 0."""
    return min((step + 1) / (WARM_UP * steps + 1), (steps - step) / steps)


def reach(done: float) -> int:
    """How far a masked model sees after a share of its steps: 16 tokens, then 64, then all.

    With all tokens in sight from the start, it predicts little but the frequencies of words for
    millions of tokens; of 16 neighbours it soon makes use.
    """
    return 16 if done < 0.4 else 64 if done < 0.6 else CONTEXT


@torch.no_grad()
def bits_per_byte(model: PreTrainedModel, stream: Stream, name: str, limit: int) -> float:
    """Over the windows of a reserve; what it takes to tell that a document ends is not counted."""
    tokens, nats, size = stream.reserves[name], 0.0, 0
    for start in range(0, min(limit, windows(tokens)), BATCH):
        which = range(start, min(start + BATCH, limit, windows(tokens)))
        inputs, targets = window_batch(tokens, which)
        position, visible = layout(inputs, causal=True)
        logits = model(input_ids=inputs, position_ids=position, attention_mask=visible).logits
        keep = targets != END_ID
        nats += F.cross_entropy(logits[keep], targets[keep], reduction="sum").item()
        size += int(stream.token_bytes[targets[keep].numpy()].sum())
    return nats / math.log(2) / size


@torch.no_grad()
def masked_bits(model: PreTrainedModel, stream: Stream, name: str, limit: int) -> float:
    """Bits per hidden token over the windows of a reserve, hidden the same way every time."""
    generator = torch.Generator().manual_seed(0)
    tokens = stream.reserves[name]
    inputs, _ = window_batch(tokens, range(min(limit, windows(tokens))))
    losses = [masked_loss(model, part, generator).item() for part in inputs.split(BATCH)]
    return float(np.mean(losses)) / math.log(2)


class Run:
    """A training run in a folder: model, optimisers, step, CPU seconds, log."""

    def __init__(self, plan: Plan, stream: Stream, work: Path):
        self.plan, self.stream, self.work = plan, stream, work
        torch.manual_seed(plan.seed)
        self.model = build(plan.size, plan.objective, len(stream.token_bytes))
        self.optims = optimisers(self.model, plan.rates)
        self.peaks = [optim.param_groups[0]["lr"] for optim in self.optims]
        self.order = np.random.default_rng(plan.seed).permutation(windows(stream.tokens))
        self.steps = plan.steps or len(self.order) // plan.batch
        self.step, self.seconds = 0, 0.0
        self.log: list[dict] = []
        self.resume()

    @property
    def checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    def resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        if state["plan"] != asdict(self.plan):
            raise SystemExit(f"{self.checkpoint} is of another plan: {state['plan']}.")
        self.model.load_state_dict(state["model"])
        for optim, saved in zip(self.optims, state["optims"], strict=True):
            optim.load_state_dict(saved)
        self.step, self.seconds, self.log = state["step"], state["seconds"], state["log"]
        self.write_log()

    def save(self) -> None:
        """Replace the checkpoint in one move, so that a kill leaves the old or the new one."""
        state = {
            "plan": asdict(self.plan),
            "model": self.model.state_dict(),
            "optims": [optim.state_dict() for optim in self.optims],
            "step": self.step,
            "seconds": self.seconds,
            "log": self.log,
        }
        partial = self.checkpoint.with_suffix(".tmp")
        with partial.open("wb") as handle:
            torch.save(state, handle)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(self.checkpoint)

    def write_log(self) -> None:
        text = "".join(json.dumps(line) + "\n" for line in self.log)
        (self.work / "log.jsonl").write_text(text)

    def tell(self, **line: object) -> None:
        self.log.append(line)
        with (self.work / "log.jsonl").open("a") as handle:
            handle.write(json.dumps(line) + "\n")

    def advance(self) -> float:
        """One step; returns its loss in nats per token."""
        for optim, peak in zip(self.optims, self.peaks, strict=True):
            for group in optim.param_groups:
                group["lr"] = peak * scale(self.step, self.steps)
        at = (self.step * self.plan.batch) % (len(self.order) - self.plan.batch + 1)
        inputs, targets = window_batch(self.stream.tokens, self.order[at : at + self.plan.batch])
        if self.plan.objective == "next":
            loss = next_loss(self.model, inputs, targets)
        else:
            generator = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + self.step)
            loss = masked_loss(self.model, inputs, generator, reach(self.step / self.steps))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optim in self.optims:
            optim.step()
            optim.zero_grad(set_to_none=True)
        self.step += 1
        return loss.item()

    def measure(self, limit: int) -> None:
        """Tell the bits per byte (of the masked twin: per hidden token) of reserved windows."""
        measured = bits_per_byte if self.plan.objective == "next" else masked_bits
        bits = {
            name: round(measured(self.model, self.stream, name, limit), 4)
            for name in self.stream.reserves
        }
        self.tell(step=self.step, seconds=round(self.seconds), windows=limit, bits=bits)

    def train(self, minutes: float = math.inf) -> bool:
        """Go on until the end, or until ``minutes`` of CPU time are spent; whether it ended."""
        saved, losses = time.monotonic(), []
        while self.step < self.steps and self.seconds < 60 * minutes:
            began = time.process_time()
            losses.append(self.advance())
            self.seconds += time.process_time() - began
            if self.step % LOG_EVERY == 0:
                tokens = self.step * self.plan.batch * CONTEXT
                self.tell(
                    step=self.step,
                    tokens=tokens,
                    loss=round(float(np.mean(losses)), 4),
                    seconds=round(self.seconds, 1),
                    tokens_per_second=round(tokens / self.seconds),
                )
                losses = []
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.measure(MEASURED)
                self.save()
                saved = time.monotonic()
        self.measure(max(map(windows, self.stream.reserves.values())))
        self.save()
        return self.step == self.steps

    def record(self) -> dict:
        """What ``training.json`` says of the run."""
        return {
            "plan": asdict(self.plan),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "steps": self.steps,
            "tokens_seen": self.steps * self.plan.batch * CONTEXT,
            "cpu_seconds": round(self.seconds),
            "stream": self.stream.record,
            "curve": [[line["step"], line["loss"]] for line in self.log if "loss" in line],
            "reserve": [line for line in self.log if "bits" in line],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("recipes/demo/work"))
    parser.add_argument("--size", choices=["0.5", "1.5", "4.5"], default="4.5")
    parser.add_argument("--objective", choices=["next", "masked"], default="next")
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = args.work / f"{args.objective}-{args.size}"
    folder.mkdir(parents=True, exist_ok=True)
    stream, tokenizer = prepare(args.data_root, args.work, args.seed)
    run = Run(Plan(args.size, args.objective, args.seed), stream, folder)
    if not run.train(args.minutes):
        raise SystemExit(f"Stopped at step {run.step} of {run.steps}; give more --minutes.")
    args.out.mkdir(parents=True, exist_ok=True)
    run.model.half().save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    (args.out / "training.json").write_text(json.dumps(run.record(), indent=1))


if __name__ == "__main__":
    main()
