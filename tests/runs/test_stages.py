"""Stages: skipped when finished, re-run when anything upstream changed, and safe to kill."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bezoar.errors import CorruptArtefact, RunError
from bezoar.runs import AuditConfig, Run
from bezoar.runs.stale import stale_stages

GRAPH = {"explore": [], "harvest": ["explore"], "locate": ["harvest"], "report": ["locate"]}


def run_graph(path: Path, **changed: str) -> list[str]:
    """Run the toy graph; the names of the stages that worked. ``changed`` alters a stage's key."""
    worked = []
    with Run.open(path, AuditConfig()) as run:
        for name, after in GRAPH.items():
            with run.stage(name, key=changed.get(name), after=after) as stage:
                if not stage.done:
                    (stage.folder / "result.txt").write_text(f"{name} {changed.get(name)}")
                    worked.append(name)
    return worked


def test_finished_stages_are_skipped(tmp_path):
    assert run_graph(tmp_path) == list(GRAPH)
    assert run_graph(tmp_path) == []


@pytest.mark.parametrize("name", GRAPH)
def test_a_change_re_runs_its_stage_and_all_downstream_and_nothing_before(tmp_path, name):
    run_graph(tmp_path)
    names = list(GRAPH)
    assert run_graph(tmp_path, **{name: "new"}) == names[names.index(name) :]


def test_a_change_removes_what_later_stages_made_of_the_old_result(tmp_path):
    """Nothing stands beside a configuration that it does not belong to."""
    run_graph(tmp_path)
    pages = ("report.html", "summary.json", "audit.json")
    for page in pages:
        (tmp_path / page).write_text("of the old result")
    with (
        Run.open(tmp_path, AuditConfig()) as run,
        run.stage("harvest", key="new", after=["explore"]),
    ):
        assert (tmp_path / "explore" / "result.txt").exists()
    assert not (tmp_path / "locate").exists()
    assert not (tmp_path / "report").exists()
    assert not any((tmp_path / page).exists() for page in pages)


def test_pages_go_as_soon_as_other_options_are_accepted_and_not_for_free_ones(tmp_path):
    run_graph(tmp_path)
    (tmp_path / "report.html").write_text("seed 0")
    Run.open(tmp_path, AuditConfig(threads=2, fail_if="toxicity>0.5"), update=True).close()
    assert (tmp_path / "report.html").exists()
    Run.open(tmp_path, AuditConfig(seed=1), update=True).close()
    assert not (tmp_path / "report.html").exists()
    assert stale_stages(tmp_path) == dict.fromkeys(GRAPH, "the options changed since")


def test_a_stage_that_was_made_of_another_result_is_stale(tmp_path):
    run_graph(tmp_path)
    marker = tmp_path / "explore" / "stage.json"
    marker.write_text(marker.read_text().replace('"key": "', '"key": "0'))
    assert stale_stages(tmp_path) == {"harvest": "explore changed since"}


def test_a_removed_folder_re_runs_only_its_stage(tmp_path):
    run_graph(tmp_path)
    for path in (tmp_path / "locate").iterdir():
        path.unlink()
    assert run_graph(tmp_path) == ["locate"]  # the same key gives the same files: report stands


def test_an_outdated_folder_is_emptied_and_an_interrupted_one_is_kept(tmp_path):
    def interrupt(key: str) -> list[str]:
        with Run.open(tmp_path, AuditConfig()) as run, pytest.raises(KeyboardInterrupt):
            with run.stage("harvest", key=key) as stage:
                seen = sorted(p.name for p in stage.folder.rglob("*") if p.name != "deep")
                (stage.folder / f"shard-{key}").write_text("x")
                (stage.folder / ".torn.123.tmp").write_text("half")
                draft = stage.folder / "deep" / ".checkpoint.123.tmp"
                draft.mkdir(parents=True)
                (draft / "config.json").write_text("{}")
                (draft / ".inner.7.tmp").write_text("half")
                (stage.folder / ".gone.5.tmp").symlink_to("nowhere")
                raise KeyboardInterrupt
        return seen

    assert interrupt("a") == ["stage.json"]
    assert interrupt("a") == ["shard-a", "stage.json"]
    assert interrupt("b") == ["stage.json"]


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_text("short"), "bytes where"),
        (lambda path: path.write_text("HARVEST None"), "was altered"),
    ],
)
def test_damaged_files_are_named_and_refused(tmp_path, damage, part):
    run_graph(tmp_path)
    damage(tmp_path / "harvest" / "result.txt")
    with pytest.raises(
        CorruptArtefact, match=rf"harvest/result\.txt.*{part}.*[Rr]emove the folder"
    ):
        run_graph(tmp_path)


def test_a_damaged_marker_is_named(tmp_path):
    run_graph(tmp_path)
    (tmp_path / "locate" / "stage.json").write_text('{"stage": "locate"')
    with pytest.raises(CorruptArtefact, match=r"locate/stage\.json is damaged"):
        run_graph(tmp_path)


def test_files_outside_the_stages_folder_are_watched_too(tmp_path):
    def publish() -> bool:
        with Run.open(tmp_path, AuditConfig()) as run, run.stage("report") as stage:
            if not stage.done:
                (run.path / "report.html").write_text("page")
                stage.include(run.path / "report.html")
            return stage.done

    assert [publish(), publish()] == [False, True]
    (tmp_path / "report.html").write_text("pagf")
    with pytest.raises(CorruptArtefact, match=r"report\.html was altered"):
        publish()


def test_a_stage_waits_for_those_before_it(tmp_path):
    with Run.open(tmp_path, AuditConfig()) as run:
        with pytest.raises(RunError, match=r"'locate' needs 'harvest'.*bezoar harvest"):
            run.stage("locate", after=["harvest"])


def test_a_stage_does_not_take_over_a_folder_of_the_users(tmp_path):
    with Run.open(tmp_path, AuditConfig()) as run:
        (tmp_path / "harvest").mkdir()
        (tmp_path / "harvest" / "wheat.csv").write_text("x")
        with pytest.raises(RunError, match="no stage of a run made"):
            run.stage("harvest").__enter__()
    assert (tmp_path / "harvest" / "wheat.csv").exists()


def artefacts(path: Path) -> dict[str, bytes]:
    skipped = {"log.jsonl", ".lock"}
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name not in skipped
    }


WORKER = """
import sys
from bezoar.runs import AuditConfig, Run, atomic_write
with Run.open(sys.argv[1], AuditConfig()) as run:
    before = []
    for name in ("explore", "harvest", "locate"):
        with run.stage(name, after=before) as stage:
            if not stage.done:
                for shard in range(6):
                    file = stage.folder / "deep" / f"{shard}.bin"
                    if not file.exists():
                        print(file, flush=True)
                        atomic_write(file, f"{name} {run.seed(name)} {shard}".encode() * 5000)
        before = [name]
"""


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path):
    subprocess.run([sys.executable, "-c", WORKER, str(tmp_path / "whole")], check=True)
    whole = artefacts(tmp_path / "whole")
    assert len(whole) == 2 + 3 * (6 + 1)

    dice = random.Random(0)
    command = [sys.executable, "-c", WORKER, str(tmp_path / "killed")]
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(dice.randint(1, 3)):
                assert process.stdout.readline()
            time.sleep(dice.uniform(0, 0.002))
            process.kill()
    subprocess.run(command, check=True)
    assert artefacts(tmp_path / "killed") == whole
