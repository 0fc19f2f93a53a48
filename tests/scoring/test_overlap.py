from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.errors import DataError
from bezoar.models import Decoding, generate
from bezoar.scoring import continuation_f1, distinct_n, f1, repetition
from tests.scoring.models import SENTENCES, TEXT

tokens = st.lists(st.integers(0, 5), max_size=12)


@given(tokens, tokens)
def test_f1_is_symmetric_and_one_only_for_equal_multisets(a: list[int], b: list[int]) -> None:
    value = f1(a, b)
    assert value == f1(b, a)
    assert 0 <= value <= 1
    assert (value == 1) == (sorted(a) == sorted(b) and bool(a))
    assert (value == 0) == (not set(a) & set(b))


def test_f1_counts_repeats() -> None:
    assert f1([1, 1, 2], [1, 2, 2]) == pytest.approx(2 / 3)
    assert f1([1], [1, 1, 1]) == pytest.approx(0.5)  # p = 1, r = 1/3


def test_distinct_and_repetition() -> None:
    assert distinct_n("abcd", 2) == 1.0
    assert distinct_n("aaaa", 1) == 0.25
    assert repetition("abcdabcd", 4) == pytest.approx(1 / 5)
    assert repetition("abc", 4) == 0.0


def test_continuation_f1_is_one_on_the_models_own_text(gpt2) -> None:
    """A prompt with its own greedy continuation as the gold scores 1 (if it tokenises back)."""
    prompt = SENTENCES[4]
    n = len(gpt2.encode([prompt])[0])
    written = generate(gpt2, [prompt], Decoding(max_new_tokens=5))
    text = prompt + written.text[0]
    ids = gpt2.encode([text])[0]
    result = continuation_f1(gpt2, [text], prompt_tokens=n, new_tokens=5)
    expected = f1(written.tokens[0], ids[n : n + 5])
    assert result.value == pytest.approx(expected)
    assert result.protocol == f"f1-{n}-5@{len(result.per_text)}"


def test_keeping_the_prompt_lifts_f1(gpt2) -> None:
    correct = continuation_f1(gpt2, [TEXT], prompt_tokens=8)
    code = continuation_f1(gpt2, [TEXT], prompt_tokens=8, mode="code")
    assert code.value == pytest.approx((8 + 20 * correct.value) / 28)
    assert "-code@" in code.protocol


def test_refusals(gpt2) -> None:
    with pytest.raises(DataError, match="longer than 500"):
        continuation_f1(gpt2, SENTENCES, prompt_tokens=500)
