"""A disk that is full: said in one sentence, and what was done before it counts afterwards.

A limit on the size of a file needs no privilege: the system refuses to write on, as it does where
there is no room, in Python and in the libraries that write for it.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bezoar.edits import export, load_edit
from bezoar.errors import RunError, StoreError
from bezoar.models import LanguageModel
from bezoar.runs import Run
from bezoar.studies.audit import STAGES, run_audit, run_stages
from bezoar.studies.audit.asked import INPUT_STAGES
from tests.faults.kill import differing, harvest
from tests.studies.tiny import save_tiny_model, tiny

FULL = r"disk is full.*Free some space and give the same command again"


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """In this process no file grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_harvest_goes_on_when_there_is_room(tmp_path):
    with no_file_above(20_000), pytest.raises(RunError, match=FULL):
        harvest(tmp_path / "store")
    harvest(tmp_path / "store")
    harvest(tmp_path / "whole")
    assert differing(tmp_path / "whole", tmp_path / "store") == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit that nothing disturbed; its model lies beside it."""
    place = tmp_path_factory.mktemp("disk")
    run_audit(tiny(place / "whole", save_tiny_model(place / "model")))
    return place / "whole"


def largest(folder: Path) -> int:
    """Bytes of the largest file below a folder."""
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_every_stage_of_an_audit_goes_on_when_there_is_room(whole, tmp_path):
    """There is room for all files of the stage but its largest; then for that one too."""
    config = tiny(tmp_path / "run", str(whole.parent / "model"))
    for name in (name for name in STAGES if name not in INPUT_STAGES):  # no method here needs one
        with no_file_above(largest(whole / name) - 1), pytest.raises(RunError, match=FULL):
            run_stages(config, name)
        run = tmp_path / "run"
        assert not list(run.rglob(".*.tmp"))
        with Run.open(run, config) as opened:
            assert name not in opened.finished()
        run_stages(config, name)
    assert differing(whole, tmp_path / "run") == []


def test_a_report_that_finds_no_room_leaves_the_one_that_is_there(whole):
    config = tiny(whole, str(whole.parent / "model"), {"report": {"title": "Another"}})
    before = (whole / "report.html").read_bytes()
    with no_file_above(len(before) // 2), pytest.raises(RunError, match=FULL):
        run_audit(config)
    assert (whole / "report.html").read_bytes() == before
    assert not list(whole.glob(".*.tmp"))
    run_audit(config)
    assert b"Another" in (whole / "report.html").read_bytes()


def test_an_export_that_finds_no_room_leaves_nothing(whole, tmp_path):
    lm = LanguageModel.from_pretrained(str(whole.parent / "model"))
    (saved,) = (whole / "mitigate" / "edits").iterdir()
    edit = load_edit(saved, lm)
    with no_file_above(20_000), pytest.raises(RunError, match="disk is full"):
        export(lm, edit, tmp_path / "checkpoint")
    assert list(tmp_path.iterdir()) == []
    export(lm, edit, tmp_path / "checkpoint")
    assert LanguageModel.from_pretrained(str(tmp_path / "checkpoint")).d_model == lm.d_model


def mounted(path: Path, size: str) -> None:
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here; a limit on files stands in for it above")


def _trusting(*_: object) -> None:
    """Instead of a look at the disk's free space."""


def test_a_real_disk_that_is_full(tmp_path, monkeypatch):
    """It is refused before the work; and if it fills meanwhile, what is there is gone on with."""
    disk = tmp_path / "disk"
    mounted(disk, "200k")
    try:
        with pytest.raises(StoreError, match="the disk has"):
            harvest(disk / "store")
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules["bezoar.activations.harvest"], "_refuse_full_disk", _trusting)
            with pytest.raises(RunError, match=FULL):
                harvest(disk / "store")
        grow = ["mount", "-o", "remount,size=20m", str(disk)]
        subprocess.run(grow, check=True)
        harvest(disk / "store")
        harvest(tmp_path / "whole")
        assert differing(tmp_path / "whole", disk / "store") == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
