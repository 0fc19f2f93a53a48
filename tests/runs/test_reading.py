"""The door to a run that is read: nothing comes through it but what its stages wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from bezoar.errors import CorruptArtefact
from bezoar.runs import AuditConfig, Run
from bezoar.runs.reading import RunFiles

NAME = "explore/seen.json"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    with Run.open(path, AuditConfig()) as opened:
        with opened.stage("explore") as stage:
            (stage.folder / "seen.json").write_text('{"n": 12}')
        with pytest.raises(KeyboardInterrupt), opened.stage("harvest") as stage:
            (stage.folder / "part.json").write_text("[1]")
            raise KeyboardInterrupt
    return path


def test_what_is_whole_is_found_and_what_was_never_there_is_none(run: Path) -> None:
    files = RunFiles(run)
    assert files.find(NAME) == run / NAME
    assert files.json(NAME, dict) == {"n": 12}
    assert files.json("harvest/part.json", list) == [1]  # of a stage that has not finished
    assert files.find("locate/sweep.json") is None
    assert files.find("config.yaml") == run / "config.yaml"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_text('{"n": 13}'), "was altered after it was written"),
        (lambda path: path.write_text('{"n": 120}'), "has 10 bytes where 9 were written"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: _link(path, path.parents[2] / "copy.json"), "is a link out of the folder"),
        (lambda path: _link(path, path.parent / "copy.json"), "is a link now"),
    ],
)
def test_a_finished_stage_has_what_it_wrote_or_is_not_read(run: Path, change, said) -> None:
    change(run / NAME)
    with pytest.raises(CorruptArtefact, match=rf"seen\.json {said}") as raised:
        RunFiles(run).find(NAME)
    assert said == "is a link out of the folder" or str(run / "explore") in raised.value.hint


def test_links_additions_and_giants_are_refused(run: Path) -> None:
    (run / "explore" / "late.json").write_text("{}")
    with pytest.raises(CorruptArtefact, match=r"late\.json was not there when its stage finished"):
        RunFiles(run).find("explore/late.json")
    (run / "harvest" / "other.json").symlink_to(run / "nowhere")
    with pytest.raises(CorruptArtefact, match=r"other\.json is a link"):
        RunFiles(run).find("harvest/other.json")
    (run / "lens").symlink_to(run.parent)
    with pytest.raises(CorruptArtefact, match=r"lens/x is a link out of the folder"):
        RunFiles(run).find("lens/x")
    with pytest.raises(CorruptArtefact, match=r"seen\.json has 9 bytes, and such a file has 8"):
        RunFiles(run).find(NAME, limit=8)


@pytest.mark.parametrize(
    ("text", "said"), [("[" * 100_000, "is not JSON"), ("[1]", "holds a list, not a dict")]
)
def test_json_that_is_none_or_another_kind_is_named(run: Path, text: str, said: str) -> None:
    (run / "audit.json").write_text(text)
    with pytest.raises(CorruptArtefact, match=rf"audit\.json {said}"):
        RunFiles(run).json("audit.json", dict)


def _link(path: Path, target: Path) -> None:
    path.rename(target)
    path.symlink_to(target)
