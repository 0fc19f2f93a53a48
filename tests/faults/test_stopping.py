"""Real processes: killed, stopped by the keyboard, two in one folder, before a closed one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kill import Server, campaign, digests, two_servers

RUN = """
import sys, time
from bezoar.interrupts import listen
listen()
from bezoar.cli.errors import shown_errors
from bezoar.runs import AuditConfig, Run
import typer
try:
    with shown_errors(), Run.open(sys.argv[1], AuditConfig()) as run:
        with run.stage("explore") as stage:
            (stage.folder / "x.txt").write_text("x")
        with run.stage("harvest", after=["explore"]) as stage:
            print("ready", flush=True)
            try:
                time.sleep(60)
            except BaseException:
                if sys.argv[2] == "heard":
                    raise
            for _ in range(6000):  # a library swallowed it
                time.sleep(0.01)
                run.stage("locate")
except typer.Exit as end:
    sys.exit(end.exit_code)
"""


@contextlib.contextmanager
def running(folder: Path, how: str = "heard") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUN, str(folder), how]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["heard", "swallowed"])
def test_the_keyboard_stops_it_at_once_and_it_says_what_is_kept(tmp_path, how):
    with running(tmp_path / "run", how) as process:
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        took = time.monotonic() - begun
    assert process.returncode == 130
    said = " ".join(said.split())
    assert "Stopped: by the keyboard." in said
    assert "explore; harvest in part. Give the same command again" in said
    assert took < 3  # 0.1 s on an idle machine


def test_before_a_run_is_open_it_stops_without_a_traceback():
    code = "from bezoar.interrupts import listen; listen(); print(1, flush=True)\nwhile True: pass"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.decode().strip().startswith("Stopped: by the keyboard.")
    assert b"Traceback" not in said


def test_a_second_process_is_told_the_id_of_the_first(tmp_path):
    with running(tmp_path / "run") as process:
        command = [sys.executable, "-c", RUN, str(tmp_path / "run"), "heard"]
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 8
    assert f"process {process.pid} on" in " ".join(second.stderr.split())
    assert "Traceback" not in second.stderr


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    with two_servers() as both:
        yield both


@pytest.mark.parametrize(("job", "tries", "seed"), [("harvest", 5, 5), ("tiny-audit", 4, 3)])
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path, servers, job, tries, seed):
    """All files, but for the log of times (``EXCLUDED``)."""
    records = campaign(job, tries, seed, tmp_path, servers, most=1)
    assert [r for r in records if r["status"] or r["differing"]] == []
    kills = [kill for record in records for kill in record["killed"]]
    assert len(kills) == tries
    assert sum("too late" not in kill for kill in kills) >= 2
    assert len(digests(tmp_path / "whole")) > {"harvest": 2, "tiny-audit": 40}[job]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody takes root")
def test_a_folder_that_may_not_be_written(tmp_path):
    from bezoar.errors import RunError
    from bezoar.runs import AuditConfig, Run

    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for above in tmp_path.parents:
        if above != Path("/tmp") and above.is_relative_to("/tmp"):
            above.chmod(0o755)
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(RunError, match=r"No permission to write to .*--out"):
            Run.open(locked / "run", AuditConfig())
    finally:
        os.seteuid(0)
