"""Ctrl-C: heard at once while there is nothing to keep, and never lost while there is.

Importing torch and transformers takes seconds in which Python's own `KeyboardInterrupt` comes late
or not at all: some library catches everything. So the command line ends the process outright as
long as no run is open. With a run open the exception is raised as usual, so that each stage can
put away what it has; should somebody swallow it, `check` in every long loop raises it again. A
second Ctrl-C ends the process outright too: files are written whole, so nothing is lost but time.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

STOPPED = 130
"""The status of a process that the keyboard stopped."""

_MESSAGE = b"\nStopped: by the keyboard. Give the same command again to go on from what is kept.\n"


class _State:
    open_runs = 0
    asked = False


def listen() -> None:
    """Handle Ctrl-C in this process, which is a command line's; call it before heavy imports."""
    _State.asked = False
    signal.signal(signal.SIGINT, _heard)


def opened(runs: int) -> None:
    """Count runs that are open: +1 or -1."""
    _State.open_runs += runs


def check() -> None:
    """Raise the interruption that was asked for, if a library swallowed it.

    Raises:
        KeyboardInterrupt: after Ctrl-C, in a process that called `listen`.
    """
    if _State.asked:
        raise KeyboardInterrupt


def _heard(number: int, frame: FrameType | None) -> None:
    if _State.open_runs and not _State.asked:
        _State.asked = True
        raise KeyboardInterrupt
    os.write(2, _MESSAGE)
    os._exit(STOPPED)
