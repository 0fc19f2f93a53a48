"""The search for a strength, on costs that are known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.errors import BudgetError, ConfigError
from bezoar.mitigate import BudgetTrace, ProjectOut, Subtract, WordBan, fit_to_budget
from bezoar.runs.results import load_result, save_result
from tests.families import tiny_model
from tests.mitigate.kit import inputs

LM = None


def search(cost_of_strength, budget=0.05, method=None, **options):
    """Search with a cost that is a function of the strength alone."""
    global LM
    LM = LM or tiny_model("gpt2")
    calls = []

    def cost(edit):
        calls.append(edit.provenance["strength"])
        return cost_of_strength(edit.provenance["strength"])

    try:
        fitted = fit_to_budget(LM, method or Subtract(), inputs(LM), cost, budget, **options)
    finally:
        assert len(calls) <= options.get("max_evaluations", 8)
    return fitted


@settings(max_examples=60, deadline=None)
@given(st.floats(-4, 4), st.floats(0.5, 3))
def test_power_laws_over_eight_decades_are_met_within_tolerance(scale, power):
    trace = search(lambda s: (s / 10**scale) ** power).trace
    assert trace.outcome == "within tolerance"
    assert 0.9 * 0.05 <= trace.cost <= 0.05
    assert trace.monotone


@pytest.mark.parametrize(
    "cost",
    [
        lambda s: math.expm1(s / 30),
        lambda s: math.exp(s**2 / 100) - 1,
        lambda s: 1e-4 * s + (s / 40) ** 6,
        lambda s: -0.01 + s**2 / 500,  # a small edit may even help
        lambda s: math.inf if s > 7 else s / 100,  # and a larger one break the model
        lambda s: math.nan if s > 3 else s / 50,
    ],
)
def test_other_monotone_costs_end_inside_the_budget_and_near_it(cost):
    trace = search(cost).trace
    assert trace.cost == cost(trace.strength) <= 0.05
    assert cost(1.5 * trace.strength) > 0.05 or not math.isfinite(cost(1.5 * trace.strength))
    assert trace.monotone


def test_a_step_is_closed_in_on_from_below():
    trace = search(lambda s: 0.0 if s < 5 else 1.0, max_evaluations=12).trace
    assert trace.outcome == "evaluations spent"
    assert 3 < trace.strength < 5


def test_a_dip_is_reported_and_nothing_beyond_the_first_break_is_chosen():
    def cost(s):  # passes the budget at 2, comes back between 8 and 30, passes again
        return 0.02 * s if s < 4 else 0.01 if 8 < s < 30 else 1.0

    points = search(cost, method=Subtract(), max_evaluations=8).trace
    broken = [p.strength for p in points.points if p.cost > 0.05]
    assert points.strength < min(broken)
    forced = search(lambda s: 0.2 if 0.9 < s < 1.1 else 0.01 * s, max_evaluations=8).trace
    assert forced.strength < 0.9
    dipping = search(lambda s: {1.0: 0.04}.get(s, 0.001 if s < 3 else 1.0), max_evaluations=6).trace
    assert not dipping.monotone
    assert "not monotone" in str(dipping.__rich__().title)


def test_a_remedy_that_is_cheap_at_full_strength_gets_it():
    trace = search(lambda s: 0.01 * s, method=ProjectOut()).trace
    assert (trace.strength, trace.outcome) == (1.0, "at the largest strength")
    assert len(trace.points) == 1
    ban = search(lambda s: 0.0, method=WordBan()).trace
    assert ban.strength == WordBan().strength_max
    assert search(lambda s: 0.0, strength_max=3.0).trace.strength == 3.0


def test_a_bounded_remedy_is_weakened_to_fit():
    trace = search(lambda s: 0.2 * s**2, method=ProjectOut()).trace
    assert trace.outcome == "within tolerance"
    assert trace.strength < 1


def test_no_strength_at_all_is_an_error_that_keeps_the_trace():
    with pytest.raises(BudgetError, match=r"costs at most 0\.05") as failed:
        search(lambda s: 1.0)
    trace = failed.value.trace
    assert isinstance(trace, BudgetTrace)
    assert len(trace.points) == 8
    assert trace.strength is None
    with pytest.raises(BudgetError, match="∞"):
        search(lambda s: math.nan)


def test_a_good_start_saves_evaluations():
    cold = search(lambda s: (s / 3000) ** 1.3).trace
    warm = search(lambda s: (s / 3000) ** 1.3, start=280.0).trace
    assert len(warm.points) == 1 < len(cold.points)


def test_a_tolerance_may_widen_as_evaluations_are_spent():
    """A cliff that the power law misses: near enough is enough once a few were tried."""

    def cost(s):
        return s / 50 if s < 2.2 else 1.0

    strict = search(cost, max_evaluations=12).trace
    loose = search(cost, max_evaluations=12, tolerance=(0.1, 0.1, 0.1, 0.3)).trace
    assert len(loose.points) < len(strict.points) == 12
    assert len(loose.points) >= 4
    assert 0.7 * 0.05 <= loose.cost < 0.9 * 0.05
    assert loose.outcome == "within tolerance"
    one, same = (search(lambda s: (s / 7) ** 2, tolerance=t).trace for t in (0.1, (0.1, 0.1)))
    assert one == same


def test_the_edit_has_the_strength_that_was_found():
    fitted = search(lambda s: s / 100)
    assert fitted.edit.provenance["strength"] == fitted.strength == fitted.trace.strength
    vector = fitted.edit.ops[0].op.vector
    assert float(vector.norm()) == pytest.approx(fitted.strength, rel=1e-5)


def test_one_evaluation_is_enough_for_an_answer_or_an_error():
    assert search(lambda s: 0.01, max_evaluations=1).trace.strength == 1.0
    with pytest.raises(BudgetError):
        search(lambda s: 1.0, max_evaluations=1)
    for wrong in ({"budget": 0.0}, {"max_evaluations": 0}, {"start": 0.0}, {"start": math.inf}):
        with pytest.raises(ConfigError):
            search(lambda s: 0.0, **wrong)


def test_the_trace_is_a_result(tmp_path):
    trace = search(lambda s: math.inf if s > 0.5 else s).trace
    assert any(point.cost is None for point in trace.points)
    save_result(tmp_path / "t.json", trace)
    assert load_result(tmp_path / "t.json", BudgetTrace) == trace
