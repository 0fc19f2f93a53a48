"""The study of experts on a tiny random model: every stage, resumed, and its page."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from bezoar.runs import ExpertsStudyConfig, Run, load_result, parse_config
from bezoar.scoring import CachedScorer
from bezoar.studies import experts
from bezoar.studies.audit import Bench
from bezoar.studies.audit.asked import made_for
from bezoar.studies.claims import Claims
from bezoar.studies.experts import STAGES, grid, run_experts
from bezoar.studies.summary import StudySummary
from tests.locate.states_kit import HashScorer
from tests.studies.tiny import TINY, save_tiny_model

SMALLER: dict[str, Any] = {
    "data": {"limit": 300, "neutral_tokens": 1_500},
    "states": {"prompts": 40, "max_new_tokens": 8, "shuffles": 3},
    "experts": {"texts": 60, "shuffles": 9, "kept": 2, "halves": 2, "top": 8},
    "mitigate": {"methods": ["eigenshift", "aura"], "max_evaluations": 2},
    "evaluate": {"protocol": "EIGEN@6x2"},
    "grid": {"alphas": [1, 0], "shares": [0.25], "draws": 2, "prompts": 4}
    | {"samples": 1, "neutral_tokens": 256, "resamples": 100},
    "layers": {"texts": 40, "null_draws": 19, "resamples": 100},
    "detect": {"texts": 20},
}


class ToyBench(Bench):
    """A scorer by which a random model writes toxic words."""

    @cached_property
    def scorer_a(self) -> CachedScorer:
        return CachedScorer(HashScorer(4))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


def study(out: Path, model: str) -> ExpertsStudyConfig:
    own = {"out": str(out), "model": {"name": model}}
    return parse_config(ExpertsStudyConfig, TINY, SMALLER, own)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, model: str):
    """A study that was killed twice, as a stage was begun, and then went on."""
    out = tmp_path_factory.mktemp("study") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experts, "Bench", ToyBench)
        patch.setattr(grid, "COST_TOKENS", 300)  # what strengths of equal cost are searched on
        begun = Run.stage
        for name in ("grid", "claims"):

            def stopping(self, stage, *args, name=name, **more):
                if stage == name:
                    raise KeyboardInterrupt
                return begun(self, stage, *args, **more)

            patch.setattr(Run, "stage", stopping)
            with pytest.raises(KeyboardInterrupt):
                run_experts(study(out, model))
        patch.setattr(Run, "stage", begun)
        return out, run_experts(study(out, model))


def test_every_stage_is_done_but_what_no_method_asks_for(done: tuple[Path, StudySummary]) -> None:
    out, summary = done
    for name in STAGES:
        marker = out / name / "stage.json"
        assert marker.exists() == (name not in ("pairs", "moments", "sae")), name
        assert not marker.exists() or json.loads(marker.read_text())["state"] == "done"
    assert Path(summary.report).is_file()


def test_methods_stand_at_the_budget_and_as_published(done: tuple[Path, StudySummary]) -> None:
    out, _ = done
    rows = json.loads((out / "evaluate" / "scorecard.json").read_text())["rows"]
    labels = {row["label"] for row in rows if row["kind"] == "method"}
    assert {"eigenshift as published", "aura as published"} <= labels


def test_claims_find_what_every_stage_left(done: tuple[Path, StudySummary]) -> None:
    """What has a file of its own must not go by as not measured."""
    out, _ = done
    claims = load_result(out / "claims" / "claims.json", Claims)
    told = {claim.key for claim in claims.claims if claim.verdict != "not measured"}
    assert {
        "neurons-experts",  # experts
        "neurons-stable",
        "layers-neurons",  # layers
        "depth-decoder",
        "choice-correct",  # grid
        "choice-cost",
        "choice-shrink",
        "svd-exact",
        "lowers",  # evaluate
    } <= told
    assert claims.of("svd-exact").verdict == "holds"
    assert claims.of("depth-encoder").verdict == "not measured"


def test_the_page_holds_what_was_measured(done: tuple[Path, StudySummary]) -> None:
    out, _ = done
    html = (out / "report.html").read_text("utf-8")
    assert "bezoar study experts" in html
    assert "(not in this run)" not in html
    tables = {path.stem for path in (out / "tables").glob("*.csv")}
    ours = {"main", "grid", "choices", "choices_at_cost", "neurons", "layers", "detection"}
    assert {f"table_{name}" for name in ours} <= tables


def test_without_a_method_of_states_a_study_needs_none():
    config = parse_config(ExpertsStudyConfig, {"mitigate": {"methods": ["damp"]}})
    assert made_for(config) == ["experts"]
    config = parse_config(ExpertsStudyConfig, {"mitigate": {"methods": ["eigenshift"]}})
    assert made_for(config) == ["states", "experts"]
