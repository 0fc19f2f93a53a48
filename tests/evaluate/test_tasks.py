"""Capability on the scorecard: chance beside the share, changes paired by item and group."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.evaluate import Measurement
from bezoar.evaluate.metrics import Maker
from bezoar.scoring import CapabilityResult
from bezoar.stats.bootstrap import paired_difference

MAKER = Maker({"a": "a#0"}, resamples=500, seed=3)
BEFORE = tuple(float(i % 3 > 0) for i in range(40))
AFTER = tuple(float(i % 4 > 0) for i in range(40))
GROUPS = tuple(str(i // 5) for i in range(40))


def measured(values: tuple[float, ...], groups: tuple[str, ...] = ()) -> Measurement:
    share = float(np.mean(values))
    task = CapabilityResult("x", share, "x@40/minimal-pairs", values, 0.5, groups)
    return Measurement("edit", "LEE@2", "key", {"toxicity": (0.1, 0.2)}, tasks=(task,))


@pytest.mark.parametrize("groups", [(), GROUPS])
def test_a_task_has_its_chance_and_its_change_is_paired(groups):
    after, before = measured(AFTER, groups), measured(BEFORE, groups)
    metric = MAKER.metrics(after)["task:x"]
    assert (metric.value, metric.chance, metric.n) == (np.mean(AFTER), 0.5, 40)
    assert metric.protocol == "x@40/minimal-pairs"
    assert metric.higher_is_better
    assert metric.scorer is None
    change = MAKER.changes(after, before)["task:x"]
    rows = np.array(AFTER), np.array(BEFORE)
    expected = paired_difference(*rows, groups or None, resamples=500, seed=3)
    assert (change.value, change.low, change.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    assert change.chance is None
    assert MAKER.metrics(after)["toxicity"].chance is None


def test_a_task_against_itself_has_not_changed():
    change = MAKER.changes(measured(AFTER), measured(AFTER))["task:x"]
    assert (change.value, change.low, change.high) == (0.0, 0.0, 0.0)


def test_answers_that_turned_are_counted_even_where_the_share_stays():
    """One right answer lost and another one won: the accuracy is what it was, two changed."""
    before = tuple([1.0, 0.0, 0.5, 1.0] * 10)
    after = (0.0, 1.0, 0.0, *before[3:])  # a tie is no right answer, so a fall from it is none
    changes = MAKER.changes(measured(after), measured(before))
    found = changes["changed:x"]
    assert (found.value, found.n, found.protocol) == (2.0, 40, "x@40/minimal-pairs")
    assert found.low <= 2 <= found.high
    assert found.scorer is None
    assert not found.higher_is_better
    none = MAKER.changes(measured(before), measured(before))["changed:x"]
    assert (none.value, none.low, none.high) == (0.0, 0.0, 0.0)
