"""Theorems on value vectors, their ranking and their SVD (5, 12-15)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bezoar.locate import principal_angles, promoted_tokens, rank_values, value_svd
from tests.families import FAMILIES, tiny_model
from tests.locate.kit import direction


@pytest.fixture(params=FAMILIES)
def own(request):
    """A model whose weights a test may change."""
    return tiny_model(request.param)


def places(ranking):
    return [(e.layer, e.index) for e in ranking.entries]


def test_5_tokens_of_a_sub_update_keep_their_order_under_scale_and_reverse_with_sign(lm):
    value = lm.values(1)[3].detach()
    plain = promoted_tokens(lm, value, lm.d_vocab)
    ids = [t.id for t in plain.promoted]
    assert [t.id for t in promoted_tokens(lm, 7.5 * value, lm.d_vocab).promoted] == ids
    assert [t.id for t in promoted_tokens(lm, -value, lm.d_vocab).promoted] == ids[::-1]
    scores = np.array([t.score for t in promoted_tokens(lm, 2.5 * value, lm.d_vocab).promoted])
    assert scores == pytest.approx(2.5 * np.array([t.score for t in plain.promoted]), abs=1e-5)


def test_12_ranking_ignores_positive_scale_and_negation_reverses_it(own):
    w = direction(own)
    everything = own.n_layers * own.d_mlp
    ranking = rank_values(own, w, everything)
    assert all(-1 <= e.cosine <= 1 for e in ranking.entries)
    scaled = dataclasses.replace(w, norm=40.0)
    assert places(rank_values(own, scaled, everything)) == places(ranking)
    assert places(rank_values(own, -w, everything)) == places(ranking)[::-1]
    with torch.no_grad():
        own.values(0)[4] *= 9.0
    assert places(rank_values(own, w, everything)) == places(ranking)


def test_13_global_top_equals_brute_force_and_merged_layer_tops(lm):
    w, k = direction(lm), 20
    every = []
    for layer in range(lm.n_layers):
        for index, value in enumerate(lm.values(layer).detach().double()):
            every.append((-float(value @ w.vector.double() / value.norm()), layer, index))
    brute = [(layer, index) for _, layer, index in sorted(every)[:k]]
    assert places(rank_values(lm, w, k)) == brute
    tops = [e for at in range(lm.n_layers) for e in sorted(e for e in every if e[1] == at)[:k]]
    assert [place[1:] for place in sorted(tops)[:k]] == brute


def test_13_equal_value_vectors_rank_by_layer_then_index(own):
    w = direction(own)
    with torch.no_grad():
        for layer, index in ((2, 1), (0, 9), (0, 3)):
            own.values(layer)[index] = 5 * w.vector
    assert places(rank_values(own, w, 3)) == [(0, 3), (0, 9), (2, 1)]


def test_14_svd_of_unit_rows(lm):
    w, n = direction(lm), 24
    ranking = rank_values(lm, w, n)
    space = value_svd(lm, ranking, direction=w)
    assert sum(s**2 for s in space.singular_values) == pytest.approx(n, rel=1e-9)
    assert torch.allclose(space.basis @ space.basis.T, torch.eye(len(space)), atol=1e-5)
    assert bool((space.basis @ w.vector >= -1e-6).all())
    rows = ranking.vectors(lm)
    left = torch.linalg.svd((rows / rows.norm(dim=1, keepdim=True)).T.double()).U
    same = (left[:, : len(space)].T * space.basis.double()).sum(1).abs()
    assert torch.allclose(same, torch.ones(len(space)).double(), atol=1e-4)


def test_14_span_ignores_row_order_and_signs(own):
    w, n = direction(own), 16
    ranking = rank_values(own, w, n)
    space = value_svd(own, ranking, direction=w)
    shuffled = dataclasses.replace(ranking, entries=ranking.entries[::-1])
    other = value_svd(own, shuffled, direction=w)
    assert torch.allclose(space.basis[:4], other.basis[:4], atol=1e-5)
    with torch.no_grad():
        for e in ranking.entries[::2]:
            own.values(e.layer)[e.index] *= -3.0
    flipped = value_svd(own, ranking, direction=w)
    assert max(principal_angles(space.first(4).basis, flipped.first(4).basis)) < 1e-2


def test_15_a_planted_value_vector_is_first_with_cosine_one(own):
    w = direction(own)
    with torch.no_grad():
        own.values(1)[7] = 0.02 * w.vector
    first = rank_values(own, w, 5).entries[0]
    assert (first.layer, first.index) == (1, 7)
    assert first.cosine == pytest.approx(1, abs=1e-6)
    assert first.norm == pytest.approx(0.02, rel=1e-5)
