"""Where a run was made, and what is wrong with the place (`bezoar doctor`)."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from bezoar.runs.results import Result

if TYPE_CHECKING:
    from rich.table import Table

PACKAGES = (
    "bezoar",
    "bezoar-demo",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "tokenizers",
    "safetensors",
    "datasets",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "optuna",
    "pyarrow",
    "polars",
)
LOW_DISK = 2 * 2**30
SLOW_BF16 = 3.0

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Check(Result):
    """One thing looked at: what was found, and what to do if it is wrong."""

    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis(Result):
    """All of `doctor`'s checks."""

    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing stops a run; warnings do not."""
        return all(check.state != "problem" for check in self.checks)

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        colours = {"ok": "green", "warning": "yellow", "problem": "red"}
        table = Table("check", "state", "found", "what to do", box=None)
        for check in self.checks:
            state = Text(check.state, style=colours[check.state])
            table.add_row(check.name, state, check.found, check.advice)
        return table


def describe_environment() -> dict[str, object]:
    """Versions, platform and threads, without importing anything heavy."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": usable_cpus(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def installed(name: str) -> str | None:
    """The version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def usable_cpus() -> int:
    """CPUs this process may run on, which in a container are often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_bytes(path: Path) -> int:
    """Free space of the drive that a folder, or the nearest one above it that exists, is on."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def doctor(out: Path) -> Diagnosis:
    """Look for what is known to break or slow a run; `out` is where runs are to be kept."""
    checks: tuple[Callable[[], Check], ...] = (
        _requirements,
        _torchvision,
        _demo,
        _device,
        _threads,
        _bfloat16,
        lambda: _disk(out),
    )
    return Diagnosis(tuple(check() for check in checks))


def _requirements() -> Check:
    from packaging.requirements import Requirement

    wrong = []
    for line in requires("bezoar") or []:
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        seen = installed(need.name)
        if seen is None or not need.specifier.contains(seen, prereleases=True):
            wrong.append(f"{need.name} {seen or 'missing'} (needs {need.specifier or 'any'})")
    found = f"Python {platform.python_version()}, torch {installed('torch')}, "
    found += f"transformers {installed('transformers')}"
    if wrong:
        advice = "Install with: pip install -c constraints.txt bezoar"
        return Check("packages", "problem", "; ".join(wrong), advice)
    return Check("packages", "ok", found)


def _torchvision() -> Check:
    # A torchvision built for CUDA beside a CPU torch breaks every transformers import, with a
    # message about something else; only importing it tells, in a process that may fail.
    if find_spec("torchvision") is None:
        return Check("torchvision", "ok", "not installed")
    command = [sys.executable, "-c", "import torchvision"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Check("torchvision", "ok", f"{installed('torchvision')}, imports")
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return Check("torchvision", "problem", last, "pip uninstall torchvision: nothing here needs it")


def _demo() -> Check:
    if find_spec("bezoar_demo") is None:
        return Check("demo", "warning", "not installed", "pip install ./demo, for 'demo' as model")
    return Check("demo", "ok", f"bezoar-demo {installed('bezoar-demo')}")


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("device", "ok", torch.cuda.get_device_name())
    if torch.backends.mps.is_available():
        return Check("device", "ok", "Apple GPU")
    return Check("device", "ok", "CPU only")


def _threads() -> Check:
    import torch

    threads, cpus = torch.get_num_threads(), usable_cpus()
    found = f"{threads} of {cpus} CPUs"
    if threads > cpus:
        return Check("threads", "warning", found, f"Give --threads {cpus}: more is slower")
    return Check("threads", "ok", found)


def _bfloat16() -> Check:
    import torch

    def seconds(dtype: torch.dtype) -> float:
        a = torch.ones(192, 192, dtype=dtype)
        a @ a
        start = perf_counter()
        a @ a
        return perf_counter() - start

    ratio = seconds(torch.bfloat16) / seconds(torch.float32)
    found = f"bfloat16 takes {ratio:.1f} x the time of float32 on this CPU"
    if ratio > SLOW_BF16:
        return Check("bfloat16", "warning", found, "Leave dtype empty: CPU models run in float32")
    return Check("bfloat16", "ok", found)


def _disk(out: Path) -> Check:
    free = free_bytes(out)
    found = f"{free / 2**30:.1f} GiB free for {out}"
    if free < LOW_DISK:
        return Check("disk", "warning", found, "Harvests may need more; choose another --out")
    return Check("disk", "ok", found)
