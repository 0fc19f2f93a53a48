"""A full disk and a closed folder, said in words that help."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bezoar.errors import RunError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# Writers in Rust and C++ (safetensors, parquet) report a full disk in an error type of their own.
_FULL_WORDS = ("no space left on device", "disk quota exceeded", "file too large", "os error 28")


def explain(error: BaseException, path: Path) -> RunError | None:
    """The run error that a failed write amounts to, or None where it is none."""
    code = error.errno if isinstance(error, OSError) else None
    where = (error.filename if isinstance(error, OSError) else None) or path
    if code in _FULL or any(words in str(error).lower() for words in _FULL_WORDS):
        return RunError(
            f"The disk is full: writing to {where} failed.",
            hint="Free some space and give the same command again: it goes on where it stopped.",
        )
    if code in _CLOSED:
        return RunError(
            f"No permission to write to {where}.", hint="Choose another folder with --out."
        )
    if code in (errno.ENOTDIR, errno.EEXIST):
        return RunError(
            f"{where} is in the way: it is a file, not a folder.",
            hint="Choose another folder with --out.",
        )
    return None


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        RunError: if that cannot be, with the system's reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise explain(error, path) or RunError(
            f"Cannot write to {path}: no folder can be made there ({reason}).",
            hint="Choose another folder with --out.",
        ) from error


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise `RunError` in place of the write errors that a user can do something about."""
    try:
        yield
    except Exception as error:
        better = explain(error, path)
        if better is None:
            raise
        raise better from error
