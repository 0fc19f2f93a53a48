"""The grid stage: a control that is the base, choices at one α and k, nothing measured twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bezoar.evaluate.eigen_results import EigenChoices, EigenGrid, EigenSpectrum
from bezoar.evaluate.measure import Evaluator
from bezoar.runs import ExpertsStudyConfig, Run, load_result, parse_config
from bezoar.scoring import CachedScorer
from bezoar.studies.audit import Bench
from bezoar.studies.audit.explore import explore_stage
from bezoar.studies.audit.states import states_stage
from bezoar.studies.experts import grid as stage
from bezoar.studies.experts.grid import Skipped, grid_stage, sizes
from tests.locate.states_kit import HashScorer
from tests.studies.tiny import TINY, save_tiny_model

SMALL: dict[str, Any] = {
    "states": {"prompts": 40, "max_new_tokens": 8, "shuffles": 3},
    "data": {"neutral_tokens": 2_400},
    "mitigate": {"methods": ["eigenshift"]},
    "evaluate": {"protocol": "EIGEN@6x2"},
    "grid": {
        "alphas": [1, 0, -2],
        "shares": [0.01, 0.25],
        "draws": 3,
        "prompts": 5,
        "samples": 2,
        "neutral_tokens": 256,
        "resamples": 100,
    },
}
EDITS = 2 * 2 + 2 + (10 + 3) + (9 + 3)  # α by k; base and control; choices at α, and at cost


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


def bench_of(run: Run, config: ExpertsStudyConfig) -> Bench:
    bench = Bench(run, config)
    bench.scorer_a = CachedScorer(HashScorer(4))  # type: ignore[misc]
    bench.scorer_b = CachedScorer(HashScorer(3))  # type: ignore[misc]
    return bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, model: str):
    out = tmp_path_factory.mktemp("grid") / "run"
    asked = parse_config(
        ExpertsStudyConfig, TINY, SMALL, {"out": str(out), "model": {"name": model}}
    )
    with Run.open(out, asked) as run:
        bench = bench_of(run, asked)
        explore_stage(bench)
        states_stage(bench)
        grid_stage(bench)
        yield bench


def folder(bench: Bench) -> Path:
    return bench.run.folder("grid")


def test_the_grid_holds_every_cell_and_a_control_that_changes_nothing(bench: Bench) -> None:
    grid = load_result(folder(bench) / "grid.json", EigenGrid)
    assert (grid.ks, grid.alphas) == ((1, 8), (1.0, 0.0, -2.0))
    assert [(p.alpha, p.k) for p in grid.points] == [(a, k) for a in grid.alphas for k in grid.ks]
    assert grid.control_is_base
    assert grid.protocol == "EIGEN@5x2"
    assert grid.control.change.value == grid.control.change.high == 0
    assert abs(grid.control.perplexity_change.value) < 1e-9
    assert (grid.control.size, grid.control.kl) == (0, pytest.approx(0, abs=1e-9))
    few, many = grid.at(0.0, 1), grid.at(0.0, 8)
    assert 0 < few.size < many.size < grid.at(-2.0, 8).size
    assert grid.at(-2.0, 8).kl > many.kl > few.kl > 0


def test_choices_are_made_at_the_largest_k_and_the_paper_s_alpha(bench: Bench) -> None:
    found = load_result(folder(bench) / "choices.json", EigenChoices)
    grid = load_result(folder(bench) / "grid.json", EigenGrid)
    assert (found.k, found.alpha, len(found.draws)) == (8, 0.0, 3)
    by_name = {each.point.name: each for each in found.choices}
    correct = by_name["correct"]
    same = grid.at(0.0, 8)
    assert correct.point.toxicity == same.toxicity  # one edit, measured twice, does one thing
    assert correct.point.perplexity == pytest.approx(same.perplexity, rel=1e-12)
    assert correct.overlap == 1
    assert by_name["uniform shrink, equal size"].point.size == pytest.approx(correct.point.size)
    assert by_name["mean difference, equal size"].point.size == pytest.approx(correct.point.size)
    assert {len(by_name), "code (transposed)" in by_name, "paper (signed)" in by_name} >= {True}
    for each in found.choices:
        means = [p.toxicity.value for p in found.draws]
        as_good = sum(mean <= each.point.toxicity.value for mean in means)
        assert each.as_good == pytest.approx(as_good / 3)
        assert each.p == pytest.approx((1 + as_good) / 4)
    assert load_result(folder(bench) / "spectrum.json", EigenSpectrum).k == 8


def test_choices_at_cost_are_equally_dear(bench: Bench) -> None:
    found = load_result(folder(bench) / "choices_at_cost.json", EigenChoices)
    assert (found.alpha, found.cost, len(found.draws)) == (None, 0.05, 3)
    alphas = {each.point.name: each.point.alpha for each in found.choices}
    assert all(alpha < 1 for alpha in alphas.values())
    assert alphas["uniform shrink"] != alphas["correct"]
    strengths = {path.stem for path in (folder(bench) / "strengths").iterdir()}
    assert {"correct", "code-transposed", "random-0", "uniform-shrink"} <= strengths


def test_every_edit_was_kept_and_is_not_measured_again(bench: Bench, monkeypatch) -> None:
    kept = sorted(path.name for path in (folder(bench) / "measured").iterdir())
    assert EDITS - 2 <= len(kept) <= EDITS  # the program's own states may not be had
    assert "alpha=-2-k=8.json" in kept
    monkeypatch.setattr(Evaluator, "measure", None)
    before = (folder(bench) / "grid.json").read_bytes()
    grid_stage(bench)  # done
    stage._Grid(bench, stage.toxic_states(bench), folder(bench)).run()  # as if killed at its end
    assert (folder(bench) / "grid.json").read_bytes() == before


def test_without_states_it_says_so(tmp_path, model) -> None:
    asked = parse_config(
        ExpertsStudyConfig, TINY, SMALL, {"out": str(tmp_path / "r"), "model": {"name": model}}
    )
    with Run.open(tmp_path / "r", asked) as run:
        bench = bench_of(run, asked)
        explore_stage(bench)
        grid_stage(bench)
        skipped = load_result(folder(bench) / "skipped.json", Skipped)
    assert skipped.why.startswith("No toxic states")


def test_shares_become_numbers_of_directions() -> None:
    assert sizes((0.005, 0.05, 0.25), 192) == (1, 10, 48)
    assert sizes((0.005, 0.05, 0.25), 4096) == (21, 205, 1024)
    assert sizes((0.001, 0.002, 1.5), 100) == (1, 100)
