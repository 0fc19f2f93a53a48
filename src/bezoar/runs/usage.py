"""What making something took: seconds and memory, noted in a run's log and in none of its results.

Two equal runs leave equal bytes, and no two take equally long. So times lie in ``log.jsonl``, which
is no artefact, and whoever wants pages without them sets ``SOURCE_DATE_EPOCH``, as for builds that
can be repeated bit by bit.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bezoar.runs.plain import MAX_JSON, plain_file
from bezoar.runs.results import Result

LOG = "log.jsonl"
_FITTED = "fitted"
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Usage(Result):
    """What a piece of work took.

    Attributes:
        seconds: on the clock.
        memory: by how many bytes the process grew at its largest, above what it held before.
        device_memory: the same of the accelerator; 0 without one.
    """

    seconds: float
    memory: int
    device_memory: int = 0


class Meter:
    """Measures from when it is made until `stop`."""

    def __init__(self) -> None:
        self._device = _device_peak(reset=True)
        with suppress(OSError):  # forget the largest so far; elsewhere than on Linux it stands
            _CLEAR.write_text("5")
        self._before = _resident()
        self._started = time.perf_counter()

    def stop(self) -> Usage:
        """What it took."""
        seconds = time.perf_counter() - self._started
        grown = max(_largest() - self._before, 0)
        return Usage(seconds, grown, max(_device_peak() - self._device, 0))


@dataclass(frozen=True, slots=True)
class Times:
    """What a run's log tells.

    Attributes:
        fitted: of each method, by its spec.
        stages: seconds of each stage, the last time it ended.
    """

    fitted: dict[str, Usage] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)


def note_fit(run: Path, method: str, usage: Usage) -> None:
    """Write what fitting a method took into a run's log."""
    line = {"time": round(time.time(), 3), "stage": "mitigate", "event": _FITTED, "method": method}
    line |= {
        "seconds": round(usage.seconds, 3),
        "memory": usage.memory,
        "device_memory": usage.device_memory,
    }
    with (run / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")


def read_times(run: Path) -> Times:
    """What a run's log tells of times; nothing where ``SOURCE_DATE_EPOCH`` is set.

    Lines that are not ours are passed over: nothing rests on them.

    Raises:
        CorruptArtefact: if the log is a link, or of absurd size.
    """
    path = run / LOG
    found = Times()
    if os.environ.get("SOURCE_DATE_EPOCH") or not (path.exists() or path.is_symlink()):
        return found
    for line in plain_file(path, limit=MAX_JSON).read_bytes().splitlines():
        with suppress(ValueError, RecursionError, TypeError, KeyError):
            _take(found, json.loads(line))
    return found


def _take(found: Times, told: dict[str, Any]) -> None:
    seconds = float(told["seconds"])
    if not (math.isfinite(seconds) and seconds >= 0):
        return
    if told["event"] == _FITTED:
        memory = int(told["memory"]), int(told["device_memory"])
        found.fitted[str(told["method"])] = Usage(seconds, *memory)
    elif told["event"] == "done":
        found.stages[str(told["stage"])] = seconds


def _resident() -> int:
    return _status("VmRSS:") or _ever()


def _largest() -> int:
    return _status("VmHWM:") or _ever()


def _status(name: str) -> int:
    """A line of the process's status in bytes; 0 where the system has none."""
    with suppress(OSError, IndexError, ValueError):
        return int(_STATUS.read_text().split(name)[1].split()[0]) * 1024
    return 0


def _ever() -> int:
    """The largest since the process began: of two readings, the second is not the smaller."""
    import resource  # not on every system, and asked only where /proc is not

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_peak(*, reset: bool = False) -> int:
    torch = sys.modules.get("torch")  # where nothing has loaded it, nothing lies on a device
    if torch is None or not torch.cuda.is_available():
        return 0
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return int(torch.cuda.max_memory_allocated())
