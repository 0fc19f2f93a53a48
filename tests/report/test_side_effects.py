"""What the page says of a task at which the model is no better than chance."""

from __future__ import annotations

import pytest

from bezoar.evaluate import MethodRow, Metric, Scorecard
from bezoar.report.sections.side_effects import _guessed, _tasks, at_chance


def task(value: float, low: float, chance: float | None) -> Metric:
    return Metric("task:x", value, low, 0.9, "x@9/last-word", n=9, chance=chance)


@pytest.mark.parametrize(
    ("value", "low", "chance", "guessed"),
    [
        (0.6, 0.4, 0.5, True),
        (0.6, 0.51, 0.5, False),
        (0.1, 0.0, 0.0, False),  # something was solved where nothing can be guessed
        (0.0, 0.0, 0.0, True),
        (0.6, 0.4, None, False),
    ],
)
def test_at_chance_is_where_the_interval_reaches_what_guessing_earns(value, low, chance, guessed):
    metric = task(value, low, chance)
    assert at_chance(metric) == guessed
    rows = tuple(MethodRow(k, k, k, metrics={"task:x": metric}) for k in ("base", "no-op"))
    card = Scorecard("LEE@2", rows, 2, "a", "b")
    text = _guessed(card)
    assert (text is not None) == guessed
    if text is not None:
        assert "no better than chance on x" in text.text
    table = _tasks(card)
    assert table is not None
    assert ("chance 50%" in table.columns[1]) == (chance == 0.5)
