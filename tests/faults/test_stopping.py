"""Real processes: killed, stopped by the keyboard, two in one folder, on a disk that is full."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kill import campaign, differing, harvest

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


def test_killed_at_random_moments_a_harvest_ends_with_the_same_bytes(tmp_path):
    records = campaign("harvest", 5, 5, tmp_path, most=1)
    assert [r for r in records if r["status"] or r["differing"]] == []
    kills = [kill for record in records for kill in record["killed"]]
    assert len(kills) >= 5
    assert any("too late" not in kill for kill in kills)


def small_disk(path: Path, size: str) -> None:
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")


def test_a_harvest_onto_a_full_disk_goes_on_when_there_is_room(tmp_path):
    from bezoar.errors import RunError

    disk = tmp_path / "disk"
    small_disk(disk, "200k")
    try:
        with pytest.raises(RunError, match=r"disk is full.*Free some space and give the same"):
            harvest(disk / "store")
        grow = ["mount", "-o", "remount,size=20m", str(disk)]
        subprocess.run(grow, check=True)
        harvest(disk / "store")
        harvest(tmp_path / "whole")
        assert differing(tmp_path / "whole", disk / "store") == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_limit_on_the_size_of_files_is_a_full_disk_too(tmp_path):
    from bezoar.errors import RunError

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(RunError, match="disk is full"):
            harvest(tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    harvest(tmp_path / "store")
    harvest(tmp_path / "whole")
    assert differing(tmp_path / "whole", tmp_path / "store") == []


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
