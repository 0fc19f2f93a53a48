"""A search that finds no strength is kept with everything that it tried."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bezoar.errors import BudgetError, ConfigError, ScorerError
from bezoar.mitigate import BudgetPoint, BudgetTrace
from bezoar.runs import load_result, save_result
from bezoar.studies.audit.fitted import Attempt, NullFit
from bezoar.studies.audit.fitting import Fitting

TRACE = BudgetTrace(
    "scale", 0.05, (BudgetPoint(1.0, None), BudgetPoint(0.1, 0.2)), None, None, True,
    "evaluations spent",
)  # fmt: skip


def attempted(error: Exception) -> Attempt:
    def fit() -> Attempt:
        raise error

    return Fitting.__new__(Fitting)._or_failed(fit)


def test_a_search_in_vain_keeps_its_trace(tmp_path: Path) -> None:
    error = BudgetError("No strength of scale costs at most 0.05.")
    error.trace = TRACE
    attempt = attempted(error)
    assert attempt.fitted is None
    assert attempt.trace == TRACE
    assert "No strength of scale" in attempt.failed
    save_result(tmp_path / "attempt.json", attempt)
    assert load_result(tmp_path / "attempt.json", Attempt) == attempt


def test_other_failures_have_no_search_and_a_broken_scorer_is_none_of_them() -> None:
    assert attempted(ConfigError("It needs words.")).trace is None
    with pytest.raises(ScorerError):
        attempted(ScorerError("It scored nothing."))


def test_a_null_that_stays_cheaper_than_the_method_is_called_so():
    near = NullFit("shuffled-pairs", "cost", (3.0, None), (0.041, None), target=0.05)
    assert near.share == pytest.approx(0.82)
    assert NullFit("shuffled-pairs", "strength", (3.0, 3.0)).share is None
    cheap = dataclasses.replace(near, costs=(0.04, 0.02))
    assert near.label == "shuffled-pairs, equal cost"
    assert cheap.label == "shuffled-pairs, lower cost"
