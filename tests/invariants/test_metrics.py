"""Invariants 44 and 65-68: what holds of the metrics on any model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.evaluate import get_protocol, hypervolume, pareto_front, tph
from bezoar.evaluate.pareto import tph_score
from bezoar.models import Decoding, generate
from bezoar.scoring import ATTRIBUTES, STATISTICS, aggregate, f1, perplexity, token_nll
from tests.scoring.models import SENTENCES, TEXT, uniform_model

share = st.floats(0, 1)
score_arrays = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.lists(share, min_size=3 * k, max_size=3 * k), min_size=1, max_size=4).map(
        lambda rows: np.array(rows).reshape(len(rows), 3, k)
    )
)


# 44: TPH

PUBLISHED = [  # toxicity, perplexity, base toxicity, base perplexity, TPH in percent
    (4.71, 9.84, 11.13, 6.23, 60.37),
    (4.65, 9.89, 9.89, 6.26, 57.68),
    (8.01, 21.97, 8.80, 22.14, 16.47),
    (3.24, 9.33, 9.74, 8.99, 78.86),
    (3.59, 19.3, 11.13, 6.23, 43.73),
    (8.1, 20.64, 8.80, 22.14, 14.66),
    (2.83, 7.66, 11.13, 6.80, 81.06),  # printed as 93.94
]


@pytest.mark.parametrize(("toxicity", "ppl", "base_toxicity", "base_ppl", "published"), PUBLISHED)
def test_tph_reproduces_the_published_table(
    toxicity, ppl, base_toxicity, base_ppl, published
) -> None:
    assert 100 * tph(toxicity, ppl, base_toxicity, base_ppl) == pytest.approx(published, abs=0.02)


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 5), st.floats(0, 5))
def test_tph_orders_as_it_should(t1: float, t2: float, p1: float, p2: float) -> None:
    t1, t2, p1, p2 = min(t1, t2), max(t1, t2), min(p1, p2), max(p1, p2)
    assert tph_score(t2, p1) >= tph_score(t1, p1)
    assert tph_score(t1, p1) >= tph_score(t1, p2)
    assert tph_score(t1, p1) == tph_score(t1, -p1)
    q = 1 / (1 + p1)
    assert tph_score(t1, p1) <= min(1, 2 * min(t1, q)) + 1e-12


def test_tph_ends() -> None:
    assert tph_score(1.0, 0.0) == 1
    assert tph_score(0.0, 0.3) == tph_score(-0.2, 0.3) == 0
    assert tph(1.0, 8.0, 2.0, 10.0) == pytest.approx(tph_score(0.5, 0.2))
    assert tph(1.0, 8.0, 2.0, 10.0, penalise="increase_only") == tph_score(0.5, 0.0)
    assert tph(1.0, 12.0, 2.0, 10.0, penalise="increase_only") == tph(1.0, 12.0, 2.0, 10.0)


@given(st.lists(st.tuples(share, share), min_size=1, max_size=8))
def test_the_front_dominates_and_alone_makes_the_hypervolume(points) -> None:
    front = pareto_front(points)
    chosen = [points[i] for i in front]
    assert chosen == sorted(chosen)
    for x, y in points:
        assert any(a <= x and b <= y for a, b in chosen)
    for i, (x, y) in enumerate(chosen):
        others = chosen[:i] + chosen[i + 1 :]
        assert not any(a <= x and b <= y for a, b in others)
    everything = hypervolume(points, (1.0, 1.0))
    assert everything == pytest.approx(hypervolume(chosen, (1.0, 1.0)))
    assert 0 <= everything <= 1


def test_hypervolume_of_known_boxes() -> None:
    assert hypervolume([(0.5, 0.5)], (1.0, 1.0)) == 0.25
    assert hypervolume([(0.2, 0.6), (0.6, 0.2)], (1.0, 1.0)) == pytest.approx(0.32 + 0.16)
    assert hypervolume([(2.0, 0.0)], (1.0, 1.0)) == 0


# 65: F1


def test_f1_of_itself_and_of_nothing_shared() -> None:
    assert f1([4, 4, 7], [7, 4, 4]) == 1
    assert f1([1, 2], [3]) == f1([], [3]) == f1([], []) == 0
    assert f1([1, 1], [1]) == f1([1], [1, 1]) == pytest.approx(2 / 3)


# 66: perplexity


def test_a_uniform_model_has_perplexity_v_to_1e4() -> None:
    lm = uniform_model()
    assert perplexity(lm, TEXT, "ppl-windows-64").value == pytest.approx(lm.d_vocab, rel=1e-4)


def test_windows_and_strides_coincide_for_equal_windows_that_do_not_overlap(lm) -> None:
    ids = lm.encode([TEXT])[0]
    text = lm.decode(ids[: len(ids) // 32 * 32])
    assert len(lm.encode([text])[0]) % 32 == 0
    whole, strided = (
        perplexity(lm, text, protocol) for protocol in ("ppl-windows-32", "ppl-stride-32-32")
    )
    assert len({*strided.counts}) == 1
    assert strided.value == pytest.approx(whole.value, rel=1e-12)
    unequal = [perplexity(lm, TEXT, p).value for p in ("ppl-windows-50", "ppl-stride-50-50")]
    assert unequal[0] != pytest.approx(unequal[1], rel=1e-9)  # the last window is shorter


def test_jensen(lm) -> None:
    nlls = [nll.mean() for nll in token_nll(lm, lm.encode(SENTENCES))]
    assert perplexity(lm, SENTENCES, "ppl-sentences-128").value >= np.exp(np.mean(nlls))


# 67: aggregations


def by_attribute(array: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[:, i] for i, name in enumerate(ATTRIBUTES[:3])}


@given(score_arrays, share)
def test_aggregations_are_ordered(array: np.ndarray, threshold: float) -> None:
    scores = by_attribute(array)
    per_prompt = {name: aggregate(name, scores, threshold) for name in STATISTICS}
    for values in per_prompt.values():
        assert values.shape == (len(array),)
        assert ((values >= 0) & (values <= 1)).all()
    assert (per_prompt["any_of_k"] >= per_prompt["toxic_share"]).all()
    assert (per_prompt["expected_max_toxicity"] >= per_prompt["mean_score"] - 1e-12).all()
    for name in scores:
        single = aggregate("mean_score", {"toxicity": scores[name]})
        assert (per_prompt["mean_max_attribute"] >= single - 1e-12).all()


@given(score_arrays, share)
def test_with_one_sample_they_coincide(array: np.ndarray, threshold: float) -> None:
    scores = by_attribute(array[..., :1])
    any_of, share_of, mean, largest = (
        aggregate(name, scores, threshold)
        for name in ("any_of_k", "toxic_share", "mean_score", "expected_max_toxicity")
    )
    assert (any_of == share_of).all()
    assert (mean == largest).all()


# 68: determinism


def test_seeded_sampling_is_the_same_twice_and_greedy_in_any_batch(lm) -> None:
    sampled = Decoding(max_new_tokens=6, sample=True, top_p=0.9, samples=2, seed=3)
    first = generate(lm, SENTENCES, sampled)
    assert first.text == generate(lm, SENTENCES, sampled).text
    greedy = Decoding(max_new_tokens=6)
    together = generate(lm, SENTENCES, greedy, batch_tokens=16384)
    alone = generate(lm, SENTENCES, greedy, batch_tokens=1)
    assert together.tokens == alone.tokens


@pytest.mark.parametrize("size", [3, 17])
def test_a_protocols_size_is_its_id(size: int) -> None:
    assert get_protocol(f"EIGEN@{size}x5").id == f"EIGEN@{size}x5"
