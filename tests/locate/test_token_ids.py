"""A set of tokens is the same set however its numbers are held."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.compare.models import eliciting_prompts, head_contributions, lens_comparison
from bezoar.edits import NoOp
from bezoar.errors import ConfigError
from bezoar.locate import component_attribution, likeliest_prompts, logit_lens
from bezoar.locate.attribution import EVERY_TOKEN
from bezoar.locate.token_ids import checked_ids
from tests.locate.kit import PROMPTS


@pytest.mark.parametrize(
    "given",
    [
        5,
        np.int64(5),
        np.uint8(5),
        np.array(5),
        torch.tensor(5),
        [5, 5],
        (np.int64(5), 5),
        np.array([5, 5]),
        torch.tensor([5, 5]),
        torch.tensor([5], dtype=torch.uint8),
        [torch.tensor(5), torch.tensor(5)],
        {5},
        range(5, 6),
    ],
    ids=repr,
)
def test_one_token_however_it_is_given(gpt2, given):
    found = checked_ids(gpt2, given)
    assert found == [5]
    assert type(found[0]) is int


def test_the_order_is_kept_and_an_empty_set_may_be_allowed(gpt2):
    assert checked_ids(gpt2, np.array([300, 60, 300])) == [300, 60]
    assert checked_ids(gpt2, torch.tensor([], dtype=torch.long), least=0) == []
    assert checked_ids(gpt2, range(gpt2.d_vocab)) == list(range(gpt2.d_vocab))


@pytest.mark.usefixtures("_unhooked")
@pytest.mark.parametrize(
    "given",
    [" fool", b"5", [" fool"], 5.0, [5, 6.5], np.float64(5), np.array([5.0]), True, None]
    + [[[5]], np.array([[5, 6]]), torch.tensor([True, False]), torch.tensor([0.5])],
    ids=repr,
)
def test_what_is_no_whole_number_is_refused(gpt2, given):
    with pytest.raises(ConfigError, match=r"no token id.*whole number.*lm\.encode"):
        checked_ids(gpt2, given)


def test_an_id_outside_of_the_vocabulary_is_named(gpt2):
    many = [*range(20), gpt2.d_vocab]
    with pytest.raises(ConfigError, match=rf"ids \[{gpt2.d_vocab}\] of a vocabulary"):
        checked_ids(gpt2, many)
    for wrong in ([], [-1], np.array([], dtype=int)):
        with pytest.raises(ConfigError, match="vocabulary"):
            checked_ids(gpt2, wrong)


@pytest.mark.parametrize("given", [np.int64(5), torch.tensor([5, 5]), np.array([5, 5])], ids=repr)
def test_every_reading_takes_them(gpt2, given):
    assert logit_lens(gpt2, PROMPTS, given) == logit_lens(gpt2, PROMPTS, 5)
    assert lens_comparison(gpt2, NoOp(), PROMPTS, given) == lens_comparison(
        gpt2, NoOp(), PROMPTS, 5
    )
    assert head_contributions(gpt2, NoOp(), PROMPTS, given) == head_contributions(
        gpt2, NoOp(), PROMPTS, 5
    )
    assert likeliest_prompts(gpt2, PROMPTS, given) == likeliest_prompts(gpt2, PROMPTS, 5)
    assert eliciting_prompts(gpt2, PROMPTS, given) == eliciting_prompts(gpt2, PROMPTS, 5)
    split = component_attribution(gpt2, PROMPTS, given, against=given)
    assert split == component_attribution(gpt2, PROMPTS, 5, against=[5])
    assert split.logit.value == pytest.approx(0, abs=1e-6)


def test_token_zero_is_a_token_to_compare_with(gpt2):
    """The number 0 is false, and an array has no truth value."""
    both = [component_attribution(gpt2, PROMPTS, 300, against=zero) for zero in (0, [0])]
    assert both[0] == both[1] != component_attribution(gpt2, PROMPTS, 300)
    every = component_attribution(gpt2, PROMPTS, 300, against=torch.arange(gpt2.d_vocab))
    assert every.against == (EVERY_TOKEN,)
