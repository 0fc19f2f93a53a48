"""Budgets and gates: what they accept, mean, and refuse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.errors import ConfigError
from bezoar.runs.expressions import COMPARE, MEASURES, parse_budget, parse_gate

blanks = st.text(" \t", max_size=3)
numbers = st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 6))
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.\-]{0,15}", fullmatch=True)


def test_the_default_budget_is_a_relative_rise_of_five_hundredths():
    budget = parse_budget("ppl<=5%")
    assert (budget.measure, budget.limit, budget.relative) == ("ppl", 0.05, True)
    assert budget.cost(base=20.0, edited=21.0) == pytest.approx(0.05)
    assert parse_budget("kl<=0.1").cost(base=0.0, edited=0.02) == pytest.approx(0.02)


@given(st.sampled_from(MEASURES[:1] + MEASURES[2:]), numbers, st.booleans(), blanks)
def test_budgets_survive_printing(measure, number, percent, blank):
    text = f"{blank}{measure}{blank}<={blank}{number!r}{blank}{'%' if percent else ''}{blank}"
    budget = parse_budget(text)
    assert budget.limit == pytest.approx(number / 100 if percent else number)
    again = parse_budget(str(budget))
    assert again.limit == pytest.approx(budget.limit, rel=1e-5)
    assert (again.measure, again.relative) == (budget.measure, budget.relative)


@given(names, st.sampled_from(sorted(COMPARE)), numbers, st.floats(-10, 10))
def test_a_gate_fails_exactly_when_its_comparison_holds(name, sign, number, value):
    gate = parse_gate(f"{name}{sign}{number!r}")
    assert gate.metric == name
    assert gate.fails(value) == COMPARE[sign](value, number)
    assert gate.fails(math.nan)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_in_words(text):
    for parse in (parse_budget, parse_gate):
        try:
            parse(text)
        except ConfigError as error:
            assert repr(text) in error.message  # the value seen
            assert error.hint  # what to do


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ppl>5%", "ceiling"),
        ("ppl<=-1%", "negative"),
        ("kl<=5%", "nats"),
        ("pppl<=5%", "'ppl'"),
        ("ppl<=1e999", "not a budget"),
        ("", "not a budget"),
    ],
)
def test_refusals_of_budgets_say_why(text, part):
    with pytest.raises(ConfigError, match=part):
        parse_budget(text)


def test_a_gate_refuses_equality():
    with pytest.raises(ConfigError, match="<, <=, > or >="):
        parse_gate("toxicity==0.1")
