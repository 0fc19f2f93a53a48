from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bezoar.models import Decoding
from bezoar.models.sampling import choose, distribution, uniforms

TOY = torch.tensor([[0.05, 0.5, 0.0, 0.25, 0.125, 0.075]])


def grid(n: int) -> torch.Tensor:
    """The midpoints of n equal parts of [0, 1)."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


def test_inverse_sampling_has_exactly_the_probabilities():
    n = 4000
    drawn = choose(TOY.log().expand(n, -1), grid(n), Decoding(sample=True))
    counts = torch.bincount(drawn, minlength=6)
    assert (counts - n * TOY[0]).abs().max() <= 1


def test_a_token_without_probability_is_never_drawn():
    ends = torch.tensor([0.0, 0.05, 0.55, np.nextafter(1, 0)], dtype=torch.float64)
    drawn = choose(TOY.log().expand(4, -1), ends, Decoding(sample=True))
    assert (TOY[0][drawn] > 0).all()


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.4, {1}), (0.5, {1}), (0.6, {1, 3}), (0.8, {1, 3, 4}), (0.96, {0, 1, 3, 4, 5})],
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p, kept):
    decoding = Decoding(sample=True, top_p=top_p)
    probabilities = distribution(TOY.log(), decoding)
    assert set(probabilities[0].nonzero().flatten().tolist()) == kept
    drawn = choose(TOY.log().expand(999, -1), grid(999), decoding)
    assert set(drawn.tolist()) == kept


@given(
    st.lists(st.integers(-32, 32), min_size=2, max_size=30, unique=True),
    st.floats(0.05, 0.99),
)
def test_top_p_is_smallest_and_sufficient(logits, top_p):
    logits = torch.tensor([logits]) / 8
    full = logits.double().softmax(-1)[0]
    kept = distribution(logits, Decoding(sample=True, top_p=top_p))[0] > 0
    assert full[kept].sum() >= top_p - 1e-6
    assert full[kept].sum() - full[kept].min() < top_p + 1e-6
    assert kept.all() or full[kept].min() >= full[~kept].max()


def test_top_k_keeps_k():
    probabilities = distribution(TOY.log(), Decoding(sample=True, top_k=3))
    assert set(probabilities[0].nonzero().flatten().tolist()) == {1, 3, 4}


def test_temperature_divides_the_logits():
    probabilities = distribution(TOY.log(), Decoding(sample=True, temperature=0.5))
    torch.testing.assert_close(probabilities, TOY**2 / (TOY**2).sum())


def test_streams_depend_on_seed_prompt_and_sample_and_only_continue():
    stream = uniforms(0, "the man", 0, 20)
    assert np.array_equal(stream[:7], uniforms(0, "the man", 0, 7))
    others = [uniforms(1, "the man", 0, 20), uniforms(0, "the man ", 0, 20)]
    others.append(uniforms(0, "the man", 1, 20))
    assert all(np.abs(stream - other).max() > 0.1 for other in others)


def test_streams_are_uniform():
    numbers = np.concatenate([uniforms(0, f"p{i}", 0, 20) for i in range(500)])
    assert abs(numbers.mean() - 0.5) < 5 / np.sqrt(12 * len(numbers))
    first = np.array([uniforms(0, f"p{i}", 0, 1)[0] for i in range(2000)])
    assert abs(first.mean() - 0.5) < 5 / np.sqrt(12 * len(first))
