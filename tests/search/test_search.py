"""The search: stopped, it goes on as if it had not been; the front is one, its winner the best."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import pytest

from bezoar.edits import Edit
from bezoar.errors import BudgetError, ConfigError, DataError, ScorerError
from bezoar.mitigate import FitInputs
from bezoar.search import Found, Journal, Space, Stack, Trial, settle
from bezoar.search.objective import Objective
from tests.families import tiny_model
from tests.mitigate.kit import inputs
from tests.search.kit import LIMIT, METHODS, PROMPTS, RUNGS, meters, objective, run

TRIALS = 11


@pytest.fixture(scope="module")
def lm():
    return tiny_model("gpt2")


@pytest.fixture(scope="module")
def whole(lm, tmp_path_factory):
    return run(lm, tmp_path_factory.mktemp("whole"), TRIALS)


def test_methods_come_first_then_singles_and_stacks_take_turns(whole):
    assert [t.of for t in whole[: len(METHODS)]] == [(name,) for name in METHODS]
    assert {len(t.of) for t in whole[len(METHODS) :: 2]} == {1}
    assert max(len(t.parts) for t in whole) > 1
    assert [t.number for t in whole] == list(range(TRIALS))


@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_killed_search_goes_on_to_the_same_trials(lm, whole, tmp_path, at):
    real = meters(lm)
    calls = 0

    def dying(edit: Edit) -> float:
        nonlocal calls
        calls += 1
        if calls > 2 * at + 2:
            raise KeyboardInterrupt
        return real.cost(edit)

    with pytest.raises(KeyboardInterrupt):
        run(lm, tmp_path, TRIALS, replace(real, cost=dying))
    assert run(lm, tmp_path, TRIALS) == whole


def test_what_was_measured_and_not_told_is_not_measured_again(lm, whole, tmp_path, monkeypatch):
    def dying(*args):
        raise KeyboardInterrupt

    run(lm, tmp_path, 6)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "tell", dying)
        with pytest.raises(KeyboardInterrupt):
            run(lm, tmp_path, TRIALS)

    def never(edit: Edit) -> float:
        raise AssertionError

    assert (tmp_path / "trials" / "0006.json").exists()
    assert run(lm, tmp_path, 7, replace(meters(lm), cost=never)) == whole[:7]


def test_more_trials_begin_with_the_same_ones(lm, whole, tmp_path):
    assert run(lm, tmp_path, 8) == whole[:8]
    assert run(lm, tmp_path, TRIALS) == whole
    assert run(lm, tmp_path, 3) == whole  # fewer are no loss


def test_half_a_line_in_the_journal_and_a_lock_left_behind_are_mended(lm, whole, tmp_path):
    run(lm, tmp_path, 8)
    with (tmp_path / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    (tmp_path / "journal.log.lock").touch()
    assert run(lm, tmp_path, TRIALS) == whole


def test_every_trial_begins_with_the_same_prompts_and_the_best_see_all(whole):
    assert {len(t.toxicity) for t in whole} <= {0, *RUNGS}
    assert any(len(t.toxicity) == RUNGS[-1] for t in whole)


def test_what_costs_more_than_the_budget_continues_no_prompt(whole):
    assert all((t.cost <= LIMIT) == bool(t.toxicity) for t in whole)


def test_a_trial_that_none_beats_goes_on_and_the_worst_does_not(lm, tmp_path):
    made: Objective = objective(lm, tmp_path)
    base = made.base[: RUNGS[0]]

    def trial(number: int, cost: float, left: float) -> Trial:
        toxicity = tuple(left * value for value in base)
        return Trial(number, (), (), (), 1.0, cost, toxicity)

    before = [trial(i, 0.01 + i * 1e-4, 0.5 + 0.01 * i) for i in range(12)]
    assert made.goes_on(trial(12, 0.019, 0.4), before)
    assert made.goes_on(trial(12, 0.001, 0.9), before)
    assert not made.goes_on(trial(12, 0.02, 0.9), before)
    assert not made.goes_on(trial(12, 0.0, 1.0), [])  # no better than no edit


def test_a_cost_that_is_no_number_is_no_edit_and_ends_no_search(lm, tmp_path):
    real = meters(lm)
    broken = replace(real, cost=lambda edit: math.nan)
    found = run(lm, tmp_path, 6, broken)
    assert {t.cost for t in found} == {None}
    assert {t.toxicity for t in found} == {()}


def test_a_scorer_that_fails_ends_the_search(lm, tmp_path):
    def failing(edit: Edit, rung: int) -> tuple[float, ...]:
        raise ScorerError("gone")

    made = objective(lm, tmp_path)  # the base was scored
    assert made.base
    with pytest.raises(ScorerError):
        run(lm, tmp_path, 6, replace(meters(lm), toxicity=failing))


def test_a_method_that_cannot_be_had_is_on_record_and_ends_no_search(lm, tmp_path):
    found = run(lm, tmp_path, 5, methods=("word-ban", "dpo"))
    failed = [t for t in found if t.of == ("dpo",)]
    assert failed
    assert all("pairs" in t.why and t.cost is None for t in failed)


def test_a_model_without_toxicity_and_a_budget_of_nothing_are_refused(lm, tmp_path):
    clean = replace(meters(lm), toxicity=lambda edit, rung: (0.0,) * (6 if rung else 3))
    with pytest.raises(DataError, match="not toxic at all"):
        objective(lm, tmp_path, clean)
    with pytest.raises(ConfigError, match="buys nothing"):
        Objective(lm, lambda spec: inputs(lm), meters(lm), rungs=RUNGS, limit=0.0, folder=tmp_path)


def test_the_strength_is_corrected_once_towards_the_cost_that_was_meant(whole):
    off = [abs(math.log(t.cost / (t.spend * LIMIT))) for t in whole if t.toxicity and t.cost > 0]
    free = [t for t in whole if t.toxicity and "project-out" not in t.of]  # it ends at 1
    assert len(off) >= 5
    near = [t for t in free if 0.6 <= t.cost / (t.spend * LIMIT) <= 1.6]
    assert len(near) >= 0.7 * len(free)


def found_of(lm, tmp_path, trials) -> Found:
    made = objective(lm, tmp_path)
    return Found("kl<=0.02", LIMIT, RUNGS, made.base, tuple(trials))


def test_the_front_is_one_and_its_winner_the_least_toxic(lm, whole, tmp_path):
    found = settle(found_of(lm, tmp_path, whole), 2, resamples=100)
    able = [t for t in whole if len(t.toxicity) == RUNGS[-1] and t.left(found.base) < 1]
    for number in found.front:
        mine = whole[number]
        others = [t for t in able if t.number != number]
        assert not any(
            t.cost <= mine.cost and t.left(found.base) < mine.left(found.base) for t in others
        )
    assert found.winner.left(found.base) == min(t.left(found.base) for t in able)
    assert found.finalists[0] == found.winner.number
    assert len(found.finalists) == min(2, len(found.front))
    assert {*found.finalists} <= {*found.front}


def test_picking_among_equals_is_flattered_and_picking_one_is_not(lm, tmp_path):
    made = objective(lm, tmp_path)
    n = len(PROMPTS)

    def trial(number: int) -> Trial:  # each spares another prompt: on average all are alike
        toxicity = tuple(v * (0.1 if i % n == number % n else 0.9) for i, v in enumerate(made.base))
        return Trial(number, (), (), (), 1.0, 0.01 + 0.001 * number, toxicity)

    one = settle(found_of(lm, tmp_path, [trial(0)]), 8, resamples=200)
    many = settle(found_of(lm, tmp_path, [trial(i) for i in range(n)]), 8, resamples=200)
    assert one.flattery.reduction == pytest.approx(0, abs=0.02)
    assert one.flattery.same == 1
    assert many.flattery.reduction > 0.1
    assert many.flattery.same < 0.7


def test_a_budget_that_nothing_meets_names_the_nearest(lm, whole, tmp_path):
    dear = [dataclasses.replace(t, cost=0.5 + t.number, toxicity=()) for t in whole]
    with pytest.raises(BudgetError, match=r"as little as kl<=0.02: the nearest, .* costs 0.5"):
        settle(found_of(lm, tmp_path, dear), 8)
    idle = [dataclasses.replace(t, toxicity=()) for t in whole[:-1]]
    base = objective(lm, tmp_path).base
    idle.append(dataclasses.replace(whole[-1], cost=0.01, toxicity=tuple(1.1 * v for v in base)))
    with pytest.raises(BudgetError, match=r"lowers toxicity: the nearest, .* leaves 110.0%"):
        settle(found_of(lm, tmp_path, idle), 8)
    idle.append(dataclasses.replace(whole[-1], toxicity=(0.0,)))  # luck, on the one prompt it saw
    with pytest.raises(BudgetError, match=r"lowers toxicity: the nearest, .* leaves 110.0%"):
        settle(found_of(lm, tmp_path, idle), 8)


@pytest.mark.slow
def test_two_processes_search_alike_whatever_their_hash_seed(whole, tmp_path):
    import os
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from tests.families import tiny_model;"
        "from tests.search.kit import run;"
        f"print([(t.asked, t.spend) for t in run(tiny_model('gpt2'), Path(sys.argv[1]), {TRIALS})])"
    )
    env = os.environ | {"PYTHONHASHSEED": "5"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == str([(t.asked, t.spend) for t in whole])


def test_stacks_of_nothing_are_no_edit(lm):
    assert Stack().fit(lm, FitInputs()).kind == "no-op"


def test_a_control_and_a_method_named_twice_are_refused(lm):
    with pytest.raises(ConfigError, match="control"):
        Space(("uniform-shrink",), lm)
    with pytest.raises(ConfigError, match="twice"):
        Space(("subtract", "subtract:direction=probe"), lm)
