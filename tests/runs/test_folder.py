"""The run folder: conflicts are listed, locks are exclusive, faults are said in words."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest

from bezoar.errors import RunConflict, RunError, RunLocked
from bezoar.runs import (
    AuditConfig,
    ExpertsStudyConfig,
    Run,
    SAEStudyConfig,
    TuneConfig,
    load_config,
    parse_config,
)

OTHER = parse_config(AuditConfig, {"mitigate": {"budget": "ppl<=10%"}, "seed": 7})


def finish(run: Run, name: str = "harvest", **options) -> None:
    with run.stage(name, **options) as stage:
        if not stage.done:
            (stage.folder / "x.txt").write_text(name)


def test_a_run_records_what_was_asked_and_where(tmp_path):
    with Run.open(tmp_path / "run", AuditConfig()) as run:
        assert load_config(run.path / "config.yaml", AuditConfig) == AuditConfig()
        (here,) = json.loads((run.path / "environment.json").read_text())
    assert here["packages"]["torch"]
    assert here["python"] == ".".join(map(str, sys.version_info[:3]))
    Run.open(tmp_path / "run", AuditConfig()).close()  # the same place is recorded once
    assert len(json.loads((tmp_path / "run" / "environment.json").read_text())) == 1


def test_another_config_is_a_conflict_that_names_each_key(tmp_path):
    with Run.open(tmp_path, AuditConfig()) as run:
        finish(run)
    before = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(RunConflict) as caught:
        Run.open(tmp_path, OTHER)
    message = str(caught.value)
    assert "mitigate.budget ('ppl<=5%' there, 'ppl<=10%' now)" in message
    assert "seed (0 there, 7 now)" in message
    assert "evaluate" not in message
    assert (tmp_path / "config.yaml").read_bytes() == before
    Run.open(tmp_path, AuditConfig()).close()  # the refusal left no lock behind


@pytest.mark.parametrize(
    ("begun", "option", "refused"),
    [
        ("explore", {"mitigate": {"budget": "ppl<=10%"}}, False),
        ("explore", {"locate": {"promoted": 5}}, False),
        ("explore", {"evaluate": {"protocol": "LEE@9"}}, True),
        ("harvest", {"locate": {"site": "0.resid_post"}}, True),
        ("mitigate", {"evaluate": {"scorer_a": "words"}}, True),
        ("mitigate", {"evaluate": {"scorer_b": "words"}}, False),
        ("evaluate", {"evaluate": {"scorer_b": "words"}}, True),
        ("evaluate", {"seed": 3}, True),
    ],
)
def test_what_no_stage_has_read_may_still_be_chosen(tmp_path, begun, option, refused):
    with Run.open(tmp_path, AuditConfig()) as run:
        finish(run, begun)
    other = parse_config(AuditConfig, option)
    if refused:
        with pytest.raises(RunConflict):
            Run.open(tmp_path, other)
    else:
        Run.open(tmp_path, other).close()
        assert load_config(tmp_path / "config.yaml", AuditConfig) == other


@pytest.mark.parametrize(
    ("kind", "begun", "option", "refused"),
    [
        (TuneConfig, "search", {"mitigate": {"budget": "ppl<=5%"}}, True),
        (TuneConfig, "search", {"mitigate": {"methods": ["word-ban"]}}, True),
        (TuneConfig, "search", {"evaluate": {"scorer_a": "words"}}, True),
        (AuditConfig, "harvest", {"sae": {"tokens": 2_000}}, False),
        (AuditConfig, "sae", {"sae": {"tokens": 2_000}}, True),
        (SAEStudyConfig, "explore", {"sae": {"tokens": 2_000}}, False),
        (SAEStudyConfig, "explore", {"contest": {"harmless": ["mild.csv"]}}, True),
        (SAEStudyConfig, "harvest", {"sae": {"max_tokens": 64}}, True),
        (SAEStudyConfig, "saes", {"features": {"top": 9}}, False),
        (SAEStudyConfig, "quality", {"contest": {"sparse": [3]}}, True),
        (SAEStudyConfig, "contest", {"contest": {"false_alarms": 0.05}}, False),
        (TuneConfig, "search", {"evaluate": {"scorer_b": "words"}}, False),
        (TuneConfig, "finalists", {"evaluate": {"scorer_b": "words"}}, True),
        (TuneConfig, "search", {"search": {"trials": 300}}, False),
        (ExpertsStudyConfig, "states", {"evaluate": {"scorer_a": "words"}}, True),
        (ExpertsStudyConfig, "evaluate", {"grid": {"draws": 99}}, False),
        (ExpertsStudyConfig, "grid", {"grid": {"draws": 99}}, True),
        (ExpertsStudyConfig, "grid", {"layers": {"others": ["bert"]}}, False),
        (ExpertsStudyConfig, "moments", {"experts": {"top": 9}}, False),
    ],
)
def test_a_search_and_a_study_keep_what_their_own_stages_read(
    tmp_path, kind, begun, option, refused
):
    with Run.open(tmp_path, kind()) as run:
        finish(run, begun)
    other = parse_config(kind, option)
    if refused:
        with pytest.raises(RunConflict) as caught:
            Run.open(tmp_path, other)
        names = {AuditConfig: "audit", TuneConfig: "tune", ExpertsStudyConfig: "study experts"}
        command = names.get(kind, "study sae")
        assert f"'bezoar {command} --config {tmp_path / 'config.yaml'}" in str(caught.value.hint)
    else:
        Run.open(tmp_path, other).close()


def test_a_run_that_began_no_stage_takes_any_config(tmp_path):
    Run.open(tmp_path, AuditConfig()).close()
    Run.open(tmp_path, OTHER).close()
    assert load_config(tmp_path / "config.yaml", AuditConfig) == OTHER


def test_what_changes_no_number_may_change(tmp_path):
    with Run.open(tmp_path, AuditConfig()) as run:
        finish(run)
    free = {"fail_if": "toxicity>0.1", "report": {"unmask": True}}
    looks = parse_config(AuditConfig, free)
    with Run.open(tmp_path, parse_config(AuditConfig, free, {"out": str(tmp_path)})):
        assert load_config(tmp_path / "config.yaml", AuditConfig) == looks


def test_update_accepts_another_config_and_fresh_removes_what_the_run_made(tmp_path):
    with Run.open(tmp_path, AuditConfig()) as run:
        finish(run)
        with run.stage("report") as stage:
            page = run.path / "report.html"
            page.write_text("page")
            stage.include(page)
    (tmp_path / "notes.txt").write_text("the user's own")
    (tmp_path / "summary.json").write_text("{}")
    with Run.open(tmp_path, AuditConfig()) as run:
        assert run.settled("harvest")
        assert not run.settled("locate")
    with Run.open(tmp_path, OTHER, update=True) as run:
        assert run.finished() == ["harvest", "report"]
        assert not run.settled("harvest")  # under other options
    with Run.open(tmp_path, AuditConfig(), resume=False) as run:
        assert run.finished() == []
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".lock", "config.yaml", "environment.json", "notes.txt"}


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    for resume in (True, False):
        with pytest.raises(RunError, match=r"'thesis\.tex'"):
            Run.open(tmp_path, AuditConfig(), resume=resume)
    assert (tmp_path / "thesis.tex").exists()


def test_fresh_never_reaches_outside_the_folder(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("x")
    with Run.open(tmp_path / "run", AuditConfig()) as run:
        finish(run)
    marker = tmp_path / "run" / "harvest" / "stage.json"
    hostile = json.loads(marker.read_text())
    hostile["files"]["../precious.txt"] = {"bytes": 1, "sha256": "0"}
    marker.write_text(json.dumps(hostile))
    Run.open(tmp_path / "run", AuditConfig(), resume=False).close()
    assert precious.exists()


def test_two_live_processes_are_told_apart_and_a_dead_one_holds_nothing(tmp_path):
    code = (
        "import sys, time; from bezoar.runs import AuditConfig, Run\n"
        f"run = Run.open({str(tmp_path)!r}, AuditConfig()); print('open', flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(RunLocked, match=f"process {process.pid} on"):
            Run.open(tmp_path, AuditConfig())
    finally:
        process.kill()
        process.wait()
    Run.open(tmp_path, AuditConfig()).close()


def test_one_process_cannot_open_a_run_twice(tmp_path):
    with Run.open(tmp_path, AuditConfig()), pytest.raises(RunLocked, match=str(os.getpid())):
        Run.open(tmp_path, AuditConfig())


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("x")
    for path in (tmp_path / "run", tmp_path / "run" / "deeper"):
        with pytest.raises(RunError, match=r"is in the way.*--out"):
            Run.open(path, AuditConfig())


@pytest.mark.parametrize(
    ("code", "part"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "disk is full"), (errno.EACCES, "permission")],
)
def test_write_faults_say_what_to_do_and_lose_nothing(tmp_path, monkeypatch, code, part):
    with Run.open(tmp_path, AuditConfig()) as run:
        finish(run)

        def fault(fd):
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch, pytest.raises(RunError, match=f"(?i){part}") as caught:
            patch.setattr(os, "fsync", fault)
            finish(run, "locate", after=["harvest"])
        assert caught.value.hint
        assert run.finished() == ["harvest"]
        finish(run, "locate", after=["harvest"])
        assert run.finished() == ["harvest", "locate"]


def test_a_full_disk_reported_by_a_rust_writer_is_recognised(tmp_path):
    with Run.open(tmp_path, AuditConfig()) as run, pytest.raises(RunError, match="disk is full"):
        with run.stage("harvest"):
            raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_a_really_full_disk(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with Run.open(small / "run", AuditConfig()) as run, pytest.raises(RunError, match="full"):
            with run.stage("harvest") as stage:
                (stage.folder / "big.bin").write_bytes(bytes(200_000))
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_seeds_differ_by_use_and_follow_the_runs(tmp_path):
    with Run.open(tmp_path / "a", AuditConfig()) as a, Run.open(tmp_path / "b", OTHER) as b:
        assert a.seed("probe") == a.seed("probe")
        assert len({a.seed("probe"), a.seed("nulls"), b.seed("probe")}) == 3


@pytest.mark.parametrize("text", ['[1, {"x": 2}, null]', "[" * 100_000, '{"a": 1}'])
def test_a_damaged_record_of_where_it_was_made_is_begun_again(tmp_path, text):
    Run.open(tmp_path, AuditConfig()).close()
    whole = (tmp_path / "environment.json").read_bytes()
    (tmp_path / "environment.json").write_text(text)
    Run.open(tmp_path, AuditConfig()).close()
    assert (tmp_path / "environment.json").read_bytes() == whole
