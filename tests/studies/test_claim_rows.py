"""What a claim makes of a row's nulls: how many there are, and what they cost."""

from __future__ import annotations

import pytest

from bezoar.stats import Interval
from bezoar.studies.claims.rows import against_nulls, beats_nulls, told
from tests.studies.dpo.claims_kit import DOWN, row

CHANGE = Interval(-0.1, -0.15, -0.05)


@pytest.mark.parametrize(
    ("p", "draws", "verdict"),
    [
        (0.01, 19, "holds"),
        (0.01, 18, "undecided"),
        (0.97, 19, "fails"),
        (0.97, 18, "undecided"),
        (0.03, 40, "undecided"),  # 0.06 by Holm
        (None, 0, "undecided"),
    ],
)
def test_fewer_than_nineteen_null_edits_decide_nothing(p, draws, verdict):
    tried = row("subtract probe", {"toxicity": DOWN}, p, draws=draws)
    assert beats_nulls(tried) == verdict
    assert against_nulls(tried, CHANGE, None).verdict == verdict


def test_pooled_draws_are_said_and_whether_they_are_too_few():
    enough, few = (row("a", {}, 0.01, draws=n) for n in (19, 3))
    assert told(enough, None) == "Toxicity; p by Holm 0.02, pooled over 19 null edits."
    assert "pooled over 3 null edits, fewer than the 19 that decide." in told(few, None)
    assert "pooled over 1 null edit, fewer" in told(row("a", {}, 0.01, draws=1), None)


def test_nulls_that_are_cheaper_than_they_should_be_are_said_to_be():
    cheap, near = (row("a", {}, 0.01, null_cost=cost) for cost in (0.79, 0.8))
    assert told(cheap, None).endswith(" Nulls that should cost as much came to 79% of its cost.")
    assert "should cost" not in told(near, None)
