"""What is said before the work begins counts what a study does beside an audit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bezoar.evaluate import get_protocol
from bezoar.runs import ExpertsStudyConfig, parse_config
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.forecast import AuditForecast
from bezoar.studies.audit.room import PAGE
from bezoar.studies.experts import forecast
from bezoar.studies.experts.forecast import forecast_experts

AUDIT = AuditForecast(variants=10, tokens=1_000, seconds=2.0, bytes=5, peak_memory=7)


@pytest.fixture(autouse=True)
def audit(monkeypatch):
    monkeypatch.setattr(forecast, "forecast_audit", lambda bench: AUDIT)


def told(head: bool = True, **sections: Any) -> AuditForecast:
    base = {"mitigate": {"methods": ["eigenshift", "aura", "profs"]}}
    config = parse_config(ExpertsStudyConfig, base, sections)
    bench = Bench.__new__(Bench)  # of a run that is not there
    vars(bench).update(
        config=config,
        lm=SimpleNamespace(has_unembedding=head),
        protocol=get_protocol("EIGEN@50x5"),
        texts=SimpleNamespace(prompts_report=50, neutral_tokens=4_000),
    )
    return forecast_experts(bench)


def test_every_edit_of_the_grid_and_every_method_as_published_is_a_variant():
    grid = {"alphas": [1, 0.5, 0], "shares": [0.05, 0.25], "draws": 9}
    # base, control, 2 α × 2 k, and at one strength and at one cost 9 ways, 9 draws, code's states
    assert told(grid=grid).variants == 10 + 2 + (2 + 4 + 2 * (9 + 9 + 1))
    assert told(head=False, grid=grid).variants == 10 + 2


@pytest.mark.parametrize(
    "more",
    [
        {"grid": {"draws": 60}},
        {"grid": {"samples": 9}},
        {"detect": {"texts": 900}},
        {"layers": {"texts": 2_000}},
        {"layers": {"others": ["a=b"]}},
    ],
)
def test_what_is_asked_for_more_of_takes_longer(more):
    assert told(**more).tokens > told().tokens > AUDIT.tokens
    assert told(**more).seconds > told().seconds > AUDIT.seconds


def test_time_is_counted_at_the_rate_of_the_audit():
    found = told()
    assert found.seconds / found.tokens == pytest.approx(AUDIT.seconds / AUDIT.tokens, rel=1e-3)
    assert (found.bytes, found.peak_memory) == (5 + PAGE, 7)
