"""Help is instant, and says what the commands say."""

from __future__ import annotations

import inspect
import resource
import subprocess
import sys
import time
from importlib import import_module

import pytest

from bezoar.cli.app import COMMANDS

# Not pydantic: typer itself reads parameters with it.
HEAVY = ("torch", "transformers", "sklearn", "numpy", "yaml", "rich", "plotly", "bezoar.runs")
GOAL = 0.3  # seconds of wall clock on a quiet machine
LIMIT = 0.6  # seconds of processor time, which a busy machine changes little
LIGHT = ("torch", "transformers", "sklearn", "scipy", "bezoar.models", "bezoar.mitigate")

CODE = """
import sys
from bezoar.cli.app import app
try:
    app().main({line!r}, prog_name="bezoar")
finally:
    sys.stderr.write(" ".join(sys.modules))
"""


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_instant_and_imports_nothing_heavy(command, capsys):
    code = CODE.format(line=[*command.split(), "--help"])
    seconds = []
    for _ in range(2):
        start, used = time.perf_counter(), cpu_of_children()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        seconds.append((cpu_of_children() - used, time.perf_counter() - start))
        if seconds[-1][1] < GOAL:
            break
    cpu, wall = min(seconds)
    with capsys.disabled():
        sys.stdout.write(f"[{command or 'bezoar'} --help {wall:.2f} s, {cpu:.2f} s of CPU] ")
    assert cpu < LIMIT
    assert not set(HEAVY) & set(done.stderr.split())
    assert f"bezoar {command}".strip() in done.stdout.splitlines()[0]
    assert "--help" in done.stdout


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(("name", "line"), COMMANDS.items())
def test_the_list_of_commands_says_what_each_command_says(name, line):
    command = import_module(f"bezoar.cli.{name}_command").command
    assert (inspect.getdoc(command) or "").splitlines()[0] == line


def test_version(bezoar):
    from bezoar import __version__

    assert bezoar("--version") == (0, f"bezoar {__version__}\n", "")


@pytest.mark.parametrize("what", ["methods", "attacks", "scorers", "protocols", "tasks", "sites"])
def test_lists_are_instant_and_import_nothing_heavy(what):
    done, cpu = run_python(CODE.format(line=["list", what]))
    assert done.stdout
    assert cpu < LIMIT
    assert not set(LIGHT) & set(done.stderr.split())


def test_importing_the_library_imports_none_of_it():
    done, cpu = run_python("import sys, bezoar; sys.stderr.write(' '.join(sys.modules))")
    assert not {*HEAVY, "pydantic", "typer"} & set(done.stderr.split())
    assert cpu < 0.15


@pytest.mark.parametrize(
    "line",
    [
        ["audit", "--data", "/no/such.csv"],
        ["audit", "--prompts", "rtp:/no/such.jsonl"],
        ["audit", "--budget", "ppl<5%"],
        ["compare", "/no/such", "/no/such"],
        ["apply", "/no/such", "demo", "--out", "/no/out"],
        ["try", "hello", "--edit", "/no/such"],
    ],
)
def test_wrong_paths_are_told_of_before_anything_heavy_is_imported(line):
    code = CODE.format(line=line).replace('" ".join', '"\\n" + " ".join')
    done, _ = run_python(code, check=False)
    assert done.returncode in (2, 3, 5, 8)
    assert not {"torch", "transformers", "sklearn"} & set(done.stderr.split())


def run_python(code, *, check=True):
    """The finished process, and the least processor time of two runs."""
    seconds = []
    for _ in range(2):
        used = cpu_of_children()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=check
        )
        seconds.append(cpu_of_children() - used)
    return done, min(seconds)
