from __future__ import annotations

import math

import pytest

from bezoar.report.numbers import estimate, number, p_value, percent, plural
from bezoar.stats.intervals import Interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.3421, "0.342"),
        (-0.2, "−0.200"),
        (21.703, "21.70"),
        (123.46, "123.5"),
        (12345.6, "12,346"),
        (0.00003, "3e−5"),
        (-2e-17, "0.000"),
        (0.0, "0.000"),
        (None, "–"),
        (math.nan, "not finite"),
        (math.inf, "not finite"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_signs_percentages_and_intervals() -> None:
    assert number(0.5, signed=True) == "+0.500"
    assert number(0.0, signed=True) == "0.000"
    assert percent(0.048, signed=True) == "+4.8\u00a0%"
    assert percent(math.nan) == "not finite"
    assert estimate(Interval(-0.2, -0.3, 0.1), signed=True) == "−0.200 [−0.300, +0.100]"
    assert estimate(Interval(0.014, -0.0001, 0.028)) == "0.014 [−0.000, 0.028]"
    assert estimate(Interval(3e-5, 2e-5, 4e-5)) == "3e−5 [2e−5, 4e−5]"
    assert percent(0.00008, signed=True) == "+0.0\u00a0%"
    assert estimate(None) == "–"


def test_a_p_value_is_never_zero() -> None:
    assert p_value(0.0) == "< 0.001"
    assert p_value(0.025) == "0.025"
    assert p_value(None) == "–"


def test_plurals() -> None:
    assert plural(1, "prompt") == "1 prompt"
    assert plural(2000, "reply", "replies") == "2,000 replies"
