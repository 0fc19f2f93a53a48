"""The card of an exported checkpoint."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
import yaml

from bezoar.errors import RunError
from bezoar.report import write_model_card
from bezoar.runs.results import save_json
from tests.report.specimens import write_run


def parts(path: Path) -> tuple[dict, str]:
    _, front, body = path.read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def test_it_says_what_was_measured(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    front, body = parts(write_model_card(run, tmp_path / "checkpoint"))
    assert front["license_name"] == "unknown"
    assert "licence of the base model is not known" in body
    assert "subtract probe" in body
    assert "| 0.342 [0.311, 0.373] | 0.139 [0.108, 0.170] | −0.203 [−0.227, −0.179] |" in body
    assert "LEE@200, demo-b#9f2c51d0" in body
    assert "ppl-windows-1024" in body
    assert "10 null edits of its own norm or cost: too few null edits to decide" in body
    assert "bezoar audit" in body


def test_a_known_licence_and_base_are_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", model="openai/gpt2")
    audit = json.loads((run / "audit.json").read_text())
    save_json(run / "audit.json", audit | {"licences": {"model": "mit"}})
    front, body = parts(write_model_card(run, tmp_path / "out", label="subtract svd"))
    assert front["license"] == "mit"
    assert front["base_model"] == "openai/gpt2"
    assert "subtract svd" in body


def test_terms_of_somebodys_own_are_a_name_and_no_id(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    audit = json.loads((run / "audit.json").read_text())
    save_json(run / "audit.json", audit | {"licences": {"model": "Own Terms"}})
    front, body = parts(write_model_card(run, tmp_path / "out"))
    assert (front["license"], front["license_name"]) == ("other", "Own Terms")
    assert "licence is Own Terms" in body


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    word = codecs.decode("shpxre", "rot13")
    name = f"x\n---\nlicense: mit\n# <script>|`{word}\x1b[0m"
    front, body = parts(write_model_card(write_run(tmp_path / "run", model=name), tmp_path / "out"))
    assert front["license"] == "other"
    assert "<script>" not in body
    assert word not in body
    assert "\x1b" not in body
    tables = [line for line in body.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {6}


def test_without_a_remedy_there_is_no_card(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(RunError, match="subtract probe"):
        write_model_card(run, tmp_path / "out", label="subtract prob")
