from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.activations import plan_batches, tokenise
from bezoar.errors import ConfigError, DataError

lengths = st.lists(st.integers(1, 300), min_size=1, max_size=200)


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(1, 600), st.integers(1, 50), st.none() | st.integers(1, 9))
def test_a_plan_is_a_permutation_within_its_budget(lengths, budget, window, max_rows):
    plan = plan_batches(lengths, budget, window=window, max_rows=max_rows)
    assert sorted(plan.order.tolist()) == list(range(len(lengths)))
    assert sum(map(len, plan)) == len(lengths)
    for number, texts in enumerate(plan):
        widths = plan.lengths[texts]
        assert len(texts) == 1 or len(texts) * widths.max() <= budget
        assert max_rows is None or len(texts) <= max_rows
        assert (np.diff(widths) <= 0).all()  # longest first
        assert max(texts) // window == min(texts) // window
        np.testing.assert_array_equal(plan[number], texts)
        assert plan.cost(number) == plan.padded_tokens[number] == len(texts) * widths.max()
        assert plan.tokens[number] == widths.sum()
    assert plan.useful_share == pytest.approx(sum(lengths) / plan.padded_tokens.sum())
    again = plan_batches(lengths, budget, window=window, max_rows=max_rows)
    np.testing.assert_array_equal(plan.order, again.order)
    np.testing.assert_array_equal(plan.sizes, again.sizes)


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(1, 600), st.integers(0, 20))
def test_halving_cuts_the_rest_in_two_and_keeps_the_order(lengths, budget, first):
    plan = plan_batches(lengths, budget)
    first = min(first, len(plan) - 1)
    half = plan.halved(first)
    np.testing.assert_array_equal(half.order, plan.order)
    np.testing.assert_array_equal(half.sizes[:first], plan.sizes[:first])
    assert half.sizes.sum() == plan.sizes.sum()
    assert half.sizes.min() >= 1
    assert half.sizes[first:].max() == (plan.sizes[first:].max() + 1) // 2


def test_the_longest_of_all_runs_first():
    plan = plan_batches([3, 9, 1, 12, 5, 5], 12)
    assert [texts.tolist() for texts in plan] == [[3], [1], [4, 5], [0], [2]]


def test_few_texts_of_very_different_lengths_are_not_padded_together():
    plan = plan_batches([700, 400, 100, 20, 19, 18, 17], 4096)
    assert [texts.tolist() for texts in plan] == [[0], [1], [2, 3], [4, 5, 6]]
    assert plan.useful_share > 0.8


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(16, 600))
def test_padding_takes_at_most_a_thirty_second_of_the_budget(lengths, budget):
    plan = plan_batches(lengths, budget)
    assert (plan.padded_tokens - plan.tokens).max() <= budget / 32


def test_real_lengths_leave_little_padding():
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(np.log(20), 0.97, 10_000)), 1, 700).astype(int)
    assert plan_batches(lengths, 4096).useful_share >= 0.95


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(ConfigError, match="budget of 0"):
        plan_batches([1], 0)
    with pytest.raises(DataError, match="a token in each"):
        plan_batches([1, 0], 10)
    with pytest.raises(DataError, match="at least one text"):
        plan_batches([], 10)


def test_tokens_are_those_of_the_tokenizer_cut_at_the_context(gpt2):
    texts = [" the man is good", "x" * 500, "a"]
    table = tokenise(gpt2, texts)
    assert table.truncated == 1
    for row, (text, ids) in enumerate(zip(texts, table.rows(range(3)), strict=True)):
        assert ids == gpt2.tokenizer(text)["input_ids"][: gpt2.context]
        assert table.lengths[row] == len(ids)
    short = tokenise(gpt2, texts, max_tokens=2)
    assert short.lengths.tolist() == [2, 2, 1]
    assert short.truncated == 2
    assert short.digest != table.digest
    assert tokenise(gpt2, list(texts)).digest == table.digest


def test_a_text_without_tokens_is_named(gpt2):
    with pytest.raises(DataError, match=r"2 of 4 texts give no token \(rows 1, 3\)"):
        tokenise(gpt2, ["a", "", "b", ""])
    with pytest.raises(DataError, match="0 texts"):
        tokenise(gpt2, [])
