"""One process at a time in a run folder.

The lock is the kernel's (`flock`), so it dies with its holder however that ends, and there is no
stale lock to judge. The file holds the process id only to name it in the error.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from bezoar.errors import RunLocked

_fcntl: ModuleType | None
try:
    import fcntl as _fcntl
except ImportError:  # Windows has no flock: two processes are then told apart by nothing
    _fcntl = None


class FolderLock:
    """Held from `acquire` to `release`, or to the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            RunLocked: if another process, or this one through another handle, holds it.
        """
        file = self.path.open("a+", encoding="utf-8")
        try:
            if _fcntl is not None:
                _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            file.close()
            raise RunLocked(
                f"Another process works in {self.path.parent}: {holder}.",
                hint="Wait until it ends, or choose another folder with --out.",
            ) from None
        except OSError:
            pass  # a network drive without locks: go on rather than be unusable there
        file.truncate(0)
        json.dump({"pid": os.getpid(), "host": platform.node()}, file)
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes hold one each."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        seen: dict[str, Any] = json.load(file)
    except ValueError:
        return "its id is not known"
    return f"process {seen.get('pid')} on {seen.get('host')}"
