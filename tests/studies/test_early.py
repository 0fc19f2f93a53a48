"""What can be known of the options before the first stage is said before it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import bezoar_demo
from bezoar.errors import ConfigError, DataError, EditError, SiteError
from bezoar.runs import (
    DPOStudyConfig,
    ExpertsStudyConfig,
    SAEStudyConfig,
    TuneConfig,
    parse_config,
)
from bezoar.studies.audit import check_config, run_stages
from bezoar.studies.audit.work import check_stage
from bezoar.studies.dpo import STAGES as DPO_STAGES
from bezoar.studies.dpo import run_dpo
from bezoar.studies.experts import STAGES as EXPERTS_STAGES
from bezoar.studies.sae import STAGES as SAE_STAGES
from bezoar.studies.tune import STAGES as TUNE_STAGES
from tests.families import tiny_model
from tests.studies.tiny import TINY, save_tiny_model, tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_model(tmp_path_factory.mktemp("early") / "model")


@pytest.mark.parametrize(
    ("upto", "options", "said"),
    [
        (
            "report",
            {"mitigate": {"methods": ["subtract:layers=99"]}},
            "no layer 99: this model has 3",
        ),
        (
            "mitigate",
            {"mitigate": {"methods": ["word-ban", "project-out:layers=0/-9"]}},
            "no layer -9: this model has 3",
        ),
        ("harvest", {"locate": {"site": "99.resid_post"}}, "no layer 99: this model has 3"),
    ],
)
def test_a_layer_that_is_not_there_is_said_before_the_first_stage(
    tmp_path: Path, model: str, upto: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SiteError, match=said):
        run_stages(tiny(tmp_path / "run", model, options), upto)
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.mark.parametrize(
    ("mask", "said", "hint"),
    [
        ("late:99", "dpo:trainable=late:99 is to train the last 99 blocks, and", "late for the"),
        ("values:999999", "to train 999,999 value vectors, and", "Write fewer: values:4."),
        ("random-values:9999", "to train 9,999 value vectors, and", "random-values:4."),
        (
            "values:64",
            "to train the 64 most toxic value vectors, and 4 are ranked.",
            "Rank as many: --set locate.top_values=64. Or train fewer: values:4.",
        ),
        ("values", "to train the 128 most toxic value vectors", "top_values=128."),
    ],
)
@pytest.mark.parametrize("first", ["subtract", "dpo"])
def test_a_training_of_more_than_there_is_is_refused_before_the_first_stage(
    tmp_path: Path, model: str, first: str, mask: str, said: str, hint: str
) -> None:
    methods = {"mitigate": {"methods": [first, f"dpo:trainable={mask}"]}}
    config = parse_config(
        DPOStudyConfig, TINY, {"out": str(tmp_path / "run"), "model": {"name": model}}, methods
    )
    with pytest.raises(ConfigError) as error:
        run_dpo(config)
    assert said in error.value.message
    assert hint in error.value.hint
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_a_study_of_a_training_that_no_model_of_its_kind_has_is_refused(tmp_path: Path) -> None:
    lm = tiny_model("llama")  # without biases
    for part in (lm.model, lm.tokenizer):
        part.save_pretrained(tmp_path / "model")
    methods = {"mitigate": {"methods": ["dpo:trainable=biases"]}}
    asked = {"out": str(tmp_path / "run"), "model": {"name": str(tmp_path / "model")}}
    with pytest.raises(EditError, match="has no biases to train"):
        run_dpo(parse_config(DPOStudyConfig, TINY, asked, methods))
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_one_scorer_cannot_choose_and_report(tmp_path: Path, model: str) -> None:
    both = {"evaluate": {"scorer_b": "demo-a"}}
    with pytest.raises(
        ConfigError, match=r"Scorers A and B are the same, 'demo-a': what is chosen"
    ):
        check_config(tiny(tmp_path / "run", model, both))
    copy = tmp_path / "copy"
    shutil.copytree(bezoar_demo.scorer_path("a"), copy)
    with pytest.raises(ConfigError, match=r"are the same, 'demo-a' and '.*copy'"):
        run_stages(tiny(tmp_path / "run", model, {"evaluate": {"scorer_b": str(copy)}}), "report")
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_too_little_neutral_text_is_said_after_the_first_stage(tmp_path: Path, model: str) -> None:
    (tmp_path / "few.csv").write_text("text\n" + "".join(f"{'line ' * 12}{n}\n" for n in range(8)))
    little = tiny(tmp_path / "run", model, {"data": {"neutral": str(tmp_path / "few.csv")}})
    with pytest.raises(DataError, match=r"fills one window of ppl-windows-\d+"):
        run_stages(little, "report")
    assert not (tmp_path / "run" / "harvest" / "stage.json").exists()
    run_stages(little, "locate")  # which needs none


@pytest.mark.parametrize(
    ("kind", "stages", "asked", "said", "hint"),
    [
        (
            DPOStudyConfig,
            DPO_STAGES,
            "lens",
            "A study of dpo has no stage 'lens': it lays the lenses of both models side by side in "
            "'compare' (Figure 1).",
            "Its stages: explore, harvest, locate, pairs, mitigate, evaluate, compare, attack, "
            "claims, report. 'bezoar study dpo --config runs/it/config.yaml "
            "--out runs/it' goes through all of them.",
        ),
        (
            TuneConfig,
            TUNE_STAGES,
            "mitigate",
            "A search has no stage 'mitigate': it fits methods in 'search'.",
            "'bezoar tune --config runs/it/config.yaml --out runs/it'",
        ),
        (ExpertsStudyConfig, EXPERTS_STAGES, "lens", "experts has no stage 'lens'.", "grid"),
        (SAEStudyConfig, SAE_STAGES, "locate", "sae has no stage 'locate'.", "saes, quality"),
    ],
)
def test_a_stage_that_a_study_has_not_is_told_with_those_that_it_has(
    kind: Any, stages: Any, asked: str, said: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as error:
        check_stage(asked, stages, kind(out="runs/it"))
    assert error.value.message.endswith(said)
    assert hint in error.value.hint
    for name in stages:
        check_stage(name, stages, kind(out="runs/it"))
