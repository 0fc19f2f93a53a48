"""Toxic states of a run: of prompts that nothing is reported on, found once, kept if killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bezoar.corpus import Prompts
from bezoar.errors import DataError
from bezoar.locate import ToxicStates
from bezoar.locate.states_report import StatesReport
from bezoar.runs import ExpertsStudyConfig, Run, load_result, parse_config
from bezoar.scoring import CachedScorer
from bezoar.stats import near_duplicates, text_key
from bezoar.studies.audit import Bench
from bezoar.studies.audit.explore import explore_stage
from bezoar.studies.audit.states import StatesPrompts, states_stage, toxic_states
from tests.families import tiny_model
from tests.locate.states_kit import HashScorer
from tests.studies.tiny import TINY

STATES: dict[str, Any] = {"prompts": 40, "max_new_tokens": 8, "shuffles": 9}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    lm = tiny_model("llama")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return str(folder)


def config(out: Path, model: str, **more: Any) -> ExpertsStudyConfig:
    options = {"out": str(out), "model": {"name": model}, "states": STATES}
    options |= {"mitigate": {"methods": ["eigenshift"]}}
    return parse_config(ExpertsStudyConfig, TINY, options, more)


def bench_of(run: Run, config: ExpertsStudyConfig, every: int = 4) -> Bench:
    bench = Bench(run, config)
    bench.scorer_a = CachedScorer(HashScorer(every))  # type: ignore[misc]
    explore_stage(bench)
    return bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, model: str):
    asked = config(tmp_path_factory.mktemp("states") / "run", model)
    with Run.open(Path(asked.out), asked) as run:
        bench = bench_of(run, asked)
        states_stage(bench)
        yield bench


def test_prompts_are_none_that_choose_or_report(bench: Bench) -> None:
    folder = bench.run.folder("states")
    mine = Prompts.load(folder / "prompts.parquet").texts
    for part in ("select", "report"):
        theirs = Prompts.load(bench.run.folder("explore") / f"prompts-{part}.parquet").texts
        assert not {text_key(t) for t in mine} & {text_key(t) for t in theirs}
        assert part == "select" or not near_duplicates(list(mine), list(theirs), 0.7).a
    told = load_result(folder / "prompts.json", StatesPrompts)
    assert (told.left_over, told.chosen_by) == (len(mine), 0) == (40, 0)


def test_the_report_says_what_there_is(bench: Bench) -> None:
    report = load_result(bench.run.folder("states") / "report.json", StatesReport)
    states = toxic_states(bench)
    assert states is not None
    assert report.found == states.found
    assert report.found.prompts == 40
    assert sum(report.toxic_positions) == report.found.kept == len(states.toxic)
    assert sum(report.other_positions) == report.other == len(states.other)
    assert sum(token.count for token in report.tokens) == report.found.kept
    assert len(report.null_norms) == 9
    assert {choice.mode for choice in report.choices} <= {"paper", "code"}
    paper = toxic_states(bench, "paper")
    assert paper is not None
    assert paper.found.mode == "paper"


def test_a_finished_stage_writes_nothing_again(bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr("bezoar.studies.audit.states.continue_and_attribute", None)
    before = (bench.run.folder("states") / "report.json").stat().st_mtime_ns
    states_stage(bench)
    assert (bench.run.folder("states") / "report.json").stat().st_mtime_ns == before


def test_a_killed_stage_goes_on_from_what_was_written(
    tmp_path: Path, model: str, monkeypatch
) -> None:
    asked = config(tmp_path / "run", model)
    with Run.open(Path(asked.out), asked) as run:
        with monkeypatch.context() as patch:
            patch.setattr("bezoar.studies.audit.states.report_states", None)
            with pytest.raises(TypeError):
                states_stage(bench_of(run, asked))
        monkeypatch.setattr("bezoar.studies.audit.states.continue_and_attribute", None)
        states_stage(bench := bench_of(run, asked))
        assert ToxicStates.load(bench.run.folder("states") / "toxic").found.prompts == 40


def test_where_few_are_left_those_that_choose_serve_and_it_is_said(
    tmp_path: Path, model: str
) -> None:
    asked = config(tmp_path / "run", model, mitigate={"select_prompts": 330})
    with Run.open(Path(asked.out), asked) as run:
        bench = bench_of(run, asked)
        states_stage(bench)
        told = load_result(bench.run.folder("states") / "prompts.json", StatesPrompts)
        mine = Prompts.load(bench.run.folder("states") / "prompts.parquet").texts
        report = Prompts.load(bench.run.folder("explore") / "prompts-report.parquet").texts
    assert told.chosen_by > 0
    assert "for want of others" in str(told)
    assert not {text_key(t) for t in mine} & {text_key(t) for t in report}


def test_without_toxic_text_it_says_what_was_tried(tmp_path: Path, model: str) -> None:
    asked = config(tmp_path / "run", model)
    with Run.open(Path(asked.out), asked) as run, pytest.raises(DataError, match="0 of 40"):
        states_stage(bench_of(run, asked, every=0))


def test_what_can_do_without_states_is_told_which_methods_cannot(
    tmp_path: Path, model: str
) -> None:
    methods = {"methods": ["word-ban", "eigenshift", "eigenshift:mode=code"]}
    for study in ("audit", "experts"):
        asked = config(tmp_path / study, model, study=study, mitigate=TINY["mitigate"] | methods)
        with Run.open(Path(asked.out), asked) as run, pytest.raises(DataError) as caught:
            states_stage(bench_of(run, asked, every=0))
        assert caught.value.hint.endswith("Or leave eigenshift out of --methods.")


def test_a_run_that_asks_for_none_has_none(tmp_path: Path, model: str) -> None:
    other = {"methods": ["word-ban"]}
    asked = config(tmp_path / "run", model, mitigate=other)
    with Run.open(Path(asked.out), asked) as run:
        states_stage(bench := Bench(run, asked))
        assert not (bench.run.folder("states") / "report.json").exists()
        assert toxic_states(bench) is None
