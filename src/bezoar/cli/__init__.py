"""The command line: one small file per command, imported when the command is called.

Commands only parse, call one function and show its result. Nothing here imports torch,
transformers or the configuration before a command runs, so that `--help` is instant.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The entry point of `bezoar`."""
    # Before transformers is imported: its advice is for programmers, and its tokenizer threads
    # complain when a process forks.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from bezoar.interrupts import STOPPED, listen

    listen()
    from bezoar.cli.app import app

    try:
        app().main(prog_name="bezoar")
    except SystemExit as end:
        if end.code == STOPPED:  # taking torch down takes a second that nobody waits for
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(STOPPED)
        raise
