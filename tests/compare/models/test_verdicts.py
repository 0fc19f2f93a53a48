"""A sentence a part: it says what the numbers say, and no more."""

from __future__ import annotations

import pytest

from bezoar.compare.models import (
    activation_drop,
    contributions,
    head_contributions,
    interpolation,
    lens_comparison,
    values_kept,
    weight_drift,
)
from bezoar.compare.models.verdicts import verdict
from bezoar.edits import NoOp
from tests.compare.models.kit import PROMPTS, direction, tuned, value_edit

MANY = [f"{who} {text}" for text in PROMPTS for who in ("now", "and then", "I say")]
"""Few prompts show no head that changed."""

CALLS = {
    "drift": lambda a, b: weight_drift(a, b),
    "values": lambda a, b: values_kept(a, b, direction(a), top=6),
    "lens": lambda a, b: lens_comparison(a, b, PROMPTS, 300),
    "drop": lambda a, b: activation_drop(a, b, PROMPTS, [(0, 1), (2, 5)], new_tokens=3),
    "contributions": lambda a, b: contributions(a, b, PROMPTS, direction(a), toxic=8, new_tokens=3),
    "heads": lambda a, b: head_contributions(a, b, MANY, direction(a)),
}
SAME = {
    "drift": "No weight changed.",
    "values": "could not be otherwise",
    "lens": "do not clearly change",
    "drop": "do not clearly change",
    "contributions": "does not clearly change",
    "heads": "0 of 12 heads",
}


@pytest.mark.parametrize("part", CALLS)
def test_of_identical_sides_nothing_is_claimed(gpt2, part):
    assert SAME[part] in verdict(CALLS[part](gpt2, NoOp()))


@pytest.mark.parametrize("part", CALLS)
def test_of_others_something_is(gpt2, part):
    said = verdict(CALLS[part](gpt2, tuned(gpt2, 0.5)))
    assert SAME[part] not in said
    assert said[0].isupper() or said[0].isdigit()
    assert said.endswith(".")


def test_weights_hardly_move_by_the_criterion_of_the_paper(gpt2):
    small, large = (weight_drift(gpt2, value_edit(gpt2, 1, scale)) for scale in (1e-4, 0.1))
    assert "hardly moved" in verdict(small)
    assert "in mlp out, 100%" in verdict(small)
    assert "The weights moved" in verdict(large)


def test_between_the_models_the_ends_are_told(gpt2):
    found = interpolation(gpt2, tuned(gpt2), lambda lm: [0.25, 0.75], [1.0], name="toxicity")
    assert verdict(found) == "toxicity: 0.5 at t = 0, 0.5 at t = 1."
    assert verdict(object()) == ""
