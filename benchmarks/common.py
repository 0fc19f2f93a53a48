"""What all benchmarks share: arms timed in turns, the material they run on, and how they report.

A figure is a ratio of two arms that ran in the same process, in turns, so that a busy or throttled
machine slows both. Wall clock is what is claimed. Processor time stands beside it: it hardly
notices what else runs, but does not see waiting for a disk either.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

PACKAGES = ("bezoar", "torch", "transformers", "numpy", "numba", "scikit-learn", "zarr")
PEERS = ("transformer-lens", "nnsight")


@dataclass
class Figure:
    """One claim: what was measured in every repetition, and what it should be."""

    claim: str
    goal: float
    values: list[float]
    cpu: list[float] = field(default_factory=list)
    at_least: bool = True
    unit: str = "×"
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the median is what was asked for."""
        middle = float(np.median(self.values))
        return middle >= self.goal if self.at_least else middle <= self.goal

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        line = f"{self.claim}: {spread(self.values, self.unit)}"
        line += f", goal {sign} {self.goal:g} {self.unit}: {'met' if self.met else 'MISSED'}"
        if self.cpu:
            line += f"\n    by processor time {spread(self.cpu, self.unit)}"
        return line + (f"\n    {self.note}" if self.note else "")


def spread(values: list[float], unit: str) -> str:
    """Median, and the least and greatest if there is more than one."""
    middle = f"{np.median(values):.3g} {unit}"
    return middle if len(values) == 1 else f"{middle} [{min(values):.3g}, {max(values):.3g}]"


class Timings:
    """Seconds of each arm in each round."""

    def __init__(self) -> None:
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}

    def figure(
        self, claim: str, goal: float, *, of: str, to: str, note: str = "", scale: float = 1.0
    ) -> Figure:
        """How many times as fast arm ``of`` is as arm ``to``; ``scale`` × where work differs."""

        def ratios(seconds: dict[str, list[float]]) -> list[float]:
            pairs = zip(seconds[to], seconds[of], strict=True)
            return [scale * theirs / ours for theirs, ours in pairs]

        return Figure(claim, goal, ratios(self.wall), ratios(self.cpu), note=note)


def interleave(
    arms: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    warm: int = 1,
    before: Callable[[], object] = gc.collect,
) -> Timings:
    """Run all arms in turns, ``repeats`` times after ``warm`` untimed ones.

    Every round begins with another arm. ``before`` runs before each arm, and is not timed.
    """
    timings = Timings()
    names = list(arms)
    for turn in range(-warm, repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            before()
            cpu, wall = time.process_time(), time.perf_counter()
            arms[name]()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if turn >= 0:
                timings.wall.setdefault(name, []).append(wall)
                timings.cpu.setdefault(name, []).append(cpu)
                print(f"  {name}: {wall:.3f} s, processor {cpu:.3f} s", file=sys.stderr)
    return timings


def peak_memory() -> int:
    """Bytes that this process, and nothing it shares, has held at most since it began."""
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    return int(peak) * 1024


def clear(folder: Path) -> None:
    """Remove what an arm wrote before, so that the next does not pay for that, and wait for the
    disk to be at rest."""
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()
    gc.collect()


def arguments(description: str | None, *, data: bool = False) -> argparse.ArgumentParser:
    """The options all scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds (default 5)")
    parser.add_argument("--threads", type=int, default=1, help="of torch and BLAS (default 1)")
    parser.add_argument("--save", type=Path, help="also write the figures to this JSON file")
    if data:
        parser.add_argument(
            "--data", help="texts whose lengths count, as bezoar names them (jigsaw:PATH, x.csv …)"
        )
    return parser


def start(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse, and fix the number of threads before anything heavy is imported."""
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return args


def report(args: argparse.Namespace, *figures: Figure) -> None:
    """Print the figures; write them where ``--save`` says."""
    about = {"command": command(), "machine": machine(), "versions": versions()}
    print("\n".join([f"{key}: {value}" for key, value in about.items()] + ["", *map(str, figures)]))
    if args.save:
        rows = [asdict(figure) | {"met": figure.met} for figure in figures]
        args.save.write_text(json.dumps(about | {"figures": rows}, indent=1) + "\n")


def command() -> str:
    """How this was called, without where its data lie."""
    words = list(sys.argv[1:])
    if "--save" in words:
        del words[words.index("--save") : words.index("--save") + 2]
    for i, word in enumerate(words):
        name, colon, path = word.rpartition(":")
        if "/" in word:
            words[i] = f"{name}{colon}PATH" if colon and "/" in path else "PATH"
    name = Path(sys.argv[0]).stem
    return " ".join(["python -m", f"benchmarks.{name}", *words])


def machine() -> str:
    """Processor, cores and system."""
    model = platform.processor() or platform.machine()
    flags = ""
    if (info := Path("/proc/cpuinfo")).exists():
        lines = {
            key.strip(): value.strip()
            for key, _, value in (line.partition(":") for line in info.read_text().splitlines())
        }
        model, words = lines.get("model name", model), lines.get("flags", "").split()
        flags = ", AVX-512" if "avx512f" in words else ", AVX2" if "avx2" in words else ""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}{flags}, {os.cpu_count()} cores, {platform.system()}{load}"


def versions() -> str:
    """Python and the packages that matter, those that are installed."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES + PEERS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
