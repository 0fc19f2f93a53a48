"""The study of DPO on a tiny random model: every stage, resumed, and its mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bezoar.errors import ConfigError, RunConflict, RunError
from bezoar.runs import AuditConfig, DPOStudyConfig, Run, load_result, parse_config
from bezoar.studies.audit.asked import INPUT_STAGES
from bezoar.studies.audit.forecast import forecast_audit
from bezoar.studies.audit.room import room_of
from bezoar.studies.dpo import STAGES, DPOBench, check_study, run_dpo
from bezoar.studies.dpo.bench import trained_specs
from bezoar.studies.dpo.claims import Claims
from bezoar.studies.dpo.forecast import forecast_dpo
from tests.studies.tiny import TINY, save_tiny_model

SMALLER: dict[str, Any] = {
    "pairs": {"steered": 60, "pplm": 0, "margin": 0.0},
    "mitigate": {"methods": ["subtract", "dpo"]},
    "compare": {"prompts": 4, "lens_prompts": 4, "neurons": 2, "layers": 1, "draws": 2}
    | {"t_values": [0, 1], "examples": 1},
    "attack": {"grid": "quick", "attacks": ["key-scaling", "noise"], "prompts": 4}
    | {"neutral_tokens": 256, "probe_texts": 20, "resamples": 100},
}

MADE = [name for name in STAGES if name == "pairs" or name not in INPUT_STAGES]
"""Stages that these methods need."""


def study(out: Path, model: str, *more: dict[str, Any]) -> DPOStudyConfig:
    return parse_config(
        DPOStudyConfig, TINY, SMALLER, {"out": str(out), "model": {"name": model}}, *more
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def done(tmp_path_factory, model):
    out = tmp_path_factory.mktemp("study") / "run"
    return out, run_dpo(study(out, model))


def artefacts(out: Path) -> dict[str, bytes]:
    """Every file that a stage wrote, but for when it did and what it left to others."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("log.jsonl", ".lock", "environment.json")
    }


def test_every_stage_is_done_and_the_claims_are_counted(done):
    out, summary = done
    for name in MADE:
        assert json.loads((out / name / "stage.json").read_text())["state"] == "done"
    claims = load_result(out / "claims" / "claims.json", Claims)
    assert len(claims.claims) > 10
    assert Path(summary.report).is_file()


def test_the_forecast_counts_every_training_and_every_point_of_the_attacks(done, model):
    out, _ = done
    config = study(out, model)
    with Run.open(out, config) as run:
        bench = DPOBench(run, config)
        told, audit = forecast_dpo(bench), forecast_audit(bench)
    measured = {json.loads(line)["key"] for line in (out / "attack" / "measured.jsonl").open("rb")}
    trained = list((out / "mitigate" / "training").rglob("log.json"))
    assert told.trainings == len(trained)
    assert told.variants >= audit.variants + len(measured)
    assert told.tokens > audit.tokens


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_forecast_tells_what_is_on_the_disk_in_the_end(done, model):
    out, _ = done
    config = study(out, model)
    with Run.open(out, config) as run:
        bench = DPOBench(run, config)
        told, room = forecast_dpo(bench), room_of(bench)
    assert 0.8 < room.kept / bytes_of(out / "mitigate") < 1.25
    assert 0.8 < told.bytes / bytes_of(out) < 1.25
    assert told.peak_memory >= room.memory > 5 * bytes_of(out / "mitigate/edits/dpo")


def test_a_disk_without_room_for_the_trainings_is_refused_before_the_first_stage(
    model, tmp_path, monkeypatch
):
    monkeypatch.setattr("bezoar.studies.audit.room.free_bytes", lambda path: 6_000_000)
    with pytest.raises(RunError, match=r"are still to be written to .*, and the disk has 6 MB\."):
        run_dpo(study(tmp_path / "run", model))
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_the_scorecard_has_dpo_as_trained_and_with_scaled_keys(done):
    out, _ = done
    rows = json.loads((out / "evaluate" / "scorecard.json").read_text())["rows"]
    labels = {row["label"]: row for row in rows}
    assert {"dpo", "dpo as trained", "dpo as trained, 7 keys × 10"} <= labels.keys()
    assert labels["dpo as trained"]["n_draws"] == 0


def test_what_was_killed_anywhere_goes_on_to_the_same_bytes(done, model, tmp_path, monkeypatch):
    whole, _ = done
    out = tmp_path / "run"
    for name in MADE:  # stopped while each stage in turn is left
        begun = Run.stage

        def stopping(self, stage, *args, begun=begun, name=name, **more):
            if stage == name:
                raise KeyboardInterrupt
            return begun(self, stage, *args, **more)

        monkeypatch.setattr(Run, "stage", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_dpo(study(out, model))
        monkeypatch.setattr(Run, "stage", begun)
    run_dpo(study(out, model))
    assert artefacts(out) == artefacts(whole)


def test_a_study_without_dpo_is_refused_before_any_work(model, tmp_path):
    config = study(tmp_path / "run", model, {"mitigate": {"methods": ["subtract"]}})
    with pytest.raises(ConfigError, match="is dpo"):
        check_study(config)


def test_an_audit_does_not_go_on_in_a_study(done, model):
    out, _ = done
    with pytest.raises(RunConflict, match="another study"):
        Run.open(out, parse_config(AuditConfig, {"model": {"name": model}}))


def test_the_first_training_is_the_one_that_figures_are_about(model, tmp_path):
    config = study(tmp_path, model, {"mitigate": {"methods": ["subtract", "dpo:beta=1", "dpo"]}})
    assert trained_specs(config) == ("dpo:beta=1.0", "dpo")
    assert DPOBench.dpo_spec is not None
