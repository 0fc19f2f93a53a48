"""After an upgrade a preset may mean something else: the conflict says so and how to go on."""

from __future__ import annotations

import json

import pytest

from bezoar.errors import RunConflict
from bezoar.runs import AuditConfig, Run, load_config, parse_config
from bezoar.runs.sections import QUICK


def begin(folder, config):
    """A run of which a stage was begun."""
    with Run.open(folder, config) as run, run.stage("locate"):
        pass


def test_a_preset_that_changed_is_no_unexplained_conflict(tmp_path):
    begin(tmp_path, parse_config(AuditConfig, QUICK))
    environment = tmp_path / "environment.json"
    seen = json.loads(environment.read_text())
    seen[0]["packages"]["bezoar"] = "0.0.9"
    environment.write_text(json.dumps(seen))
    now = parse_config(AuditConfig, QUICK, {"locate": {"shuffles": 20}})
    with pytest.raises(RunConflict) as caught:
        Run.open(tmp_path, now)
    message = str(caught.value)
    assert "locate.shuffles (19 there, 20 now)" in message
    assert "begun by bezoar 0.0.9" in message
    assert "a default or preset that changed" in message
    assert f"bezoar audit --config {tmp_path}/config.yaml --out {tmp_path}" in message
    own = load_config(tmp_path / "config.yaml", AuditConfig)
    Run.open(tmp_path, own).close()  # what the hint says works


def test_within_one_version_nothing_is_said_of_versions(tmp_path):
    begin(tmp_path, AuditConfig())
    with pytest.raises(RunConflict) as caught:
        Run.open(tmp_path, parse_config(AuditConfig, {"seed": 1}))
    assert "begun by" not in str(caught.value)


def test_an_option_that_no_longer_exists_names_both_versions(tmp_path):
    begin(tmp_path, AuditConfig())
    with (tmp_path / "config.yaml").open("a") as file:
        file.write("colour: red\n")
    with pytest.raises(RunConflict, match=r"does not understand it: Unknown option 'colour'"):
        Run.open(tmp_path, AuditConfig())
