"""Help is instant, and says what the commands say."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from importlib import import_module

import pytest

from bezoar.cli.app import COMMANDS

# Not pydantic: typer itself reads parameters with it.
HEAVY = ("torch", "transformers", "sklearn", "numpy", "yaml", "rich", "plotly", "bezoar.runs")
GOAL, LIMIT = 0.3, 1.0  # seconds; the limit leaves room for a busy machine


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_instant(command, capsys):
    line = [sys.executable, "-m", "bezoar", *command.split(), "--help"]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        times.append(time.perf_counter() - start)
        if times[-1] < GOAL:
            break
    with capsys.disabled():
        sys.stdout.write(f"[{command or 'bezoar'} --help {min(times):.2f} s] ")
    assert min(times) < LIMIT
    assert f"bezoar {command}".strip() in shown.splitlines()[0]
    assert "--help" in shown


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_nothing_heavy(command):
    code = f"""
import json, sys
from bezoar.cli.app import app
try:
    app().main({[*command.split(), "--help"]!r})
except SystemExit:
    sys.stderr.write(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == []


@pytest.mark.parametrize(("name", "line"), COMMANDS.items())
def test_the_list_of_commands_says_what_each_command_says(name, line):
    command = import_module(f"bezoar.cli.{name}_command").command
    assert (inspect.getdoc(command) or "").splitlines()[0] == line


def test_version(bezoar):
    from bezoar import __version__

    assert bezoar("--version") == (0, f"bezoar {__version__}\n", "")
