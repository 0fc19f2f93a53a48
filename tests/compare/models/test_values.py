"""Value vectors before and after: what is planted is found, what cannot move is said to."""

from __future__ import annotations

import pytest
import torch

from bezoar.compare.models import values_kept
from bezoar.edits import Add, Dense, NoOp, WeightEdit
from bezoar.errors import DataError, ModelError
from bezoar.locate import promoted_tokens, rank_values
from bezoar.models import LanguageModel
from tests.compare.models.kit import direction
from tests.edits.kit import one
from tests.families import tiny_model


def test_identical_sides_keep_everything(pair):
    """Item 29."""
    base, _ = pair
    found = values_kept(base, NoOp(), direction(base), top=10)
    assert found.identity
    assert (found.cosine.value, found.ranking, found.null_p) == (1, 1, 1)
    assert {v.cosine for v in found.vectors} == set(found.random_cosine) == {1}
    assert {v.relative for v in found.vectors} == {0}
    assert {v.tokens for v in found.vectors} == set(found.random_tokens) == {1}
    assert [v.rank for v in found.vectors] == [v.edited_rank for v in found.vectors]


def test_numbers_are_those_of_the_two_models(pair):
    base, other = pair
    w = direction(base)
    found = values_kept(base, other, w, top=10, promoted=5)
    first, second = (rank_values(lm, w, 10) for lm in pair)
    again = {str(entry): entry for entry in second.entries}
    assert [str(v) for v in found.vectors] == [str(e) for e in first.entries]
    assert found.ranking == len(again.keys() & {str(v) for v in found.vectors}) / 10
    for v in found.vectors:
        a, b = (lm.values(v.layer)[v.index].double() for lm in pair)
        assert v.cosine == pytest.approx(float(torch.cosine_similarity(a, b, dim=0)))
        assert v.relative == pytest.approx(float((b - a).norm() / a.norm()))
        unit = w.vector.double()
        assert v.toxic == pytest.approx(float(torch.cosine_similarity(a, unit, dim=0)))
        assert v.edited_toxic == pytest.approx(float(torch.cosine_similarity(b, unit, dim=0)))
        assert v.edited_rank == (again[str(v)].rank if str(v) in again else None)
        said = [
            {t.id for t in promoted_tokens(lm, lm.values(v.layer)[v.index], 5).promoted}
            for lm in pair
        ]
        assert v.tokens == len(said[0] & said[1]) / 5
    assert not found.identity


def test_toxic_vectors_that_alone_moved_stand_out_of_the_null(gpt2):
    w = direction(gpt2)
    ranking = rank_values(gpt2, w, 8)
    edit = turned(gpt2, [(e.layer, e.index) for e in ranking.entries])
    found = values_kept(gpt2, edit, w, ranking, top=8)
    assert found.cosine.value == pytest.approx(-1)
    assert set(found.random_cosine) == {1}
    assert found.null_p == 1 / 40
    assert found.ranking == 0
    assert [v.edited_rank for v in found.vectors] == [None] * 8


def test_toxic_vectors_that_alone_stayed_do_not(gpt2):
    w = direction(gpt2)
    ranking = rank_values(gpt2, w, 8)
    toxic = {(e.layer, e.index) for e in ranking.entries}
    others = [(layer, i) for layer in range(3) for i in range(gpt2.d_mlp)]
    found = values_kept(gpt2, turned(gpt2, [p for p in others if p not in toxic]), w, ranking)
    assert found.cosine.value == 1
    assert found.null_p == 1
    assert not found.identity


def test_random_vectors_are_of_the_same_layers_and_not_the_toxic_ones(gpt2):
    from bezoar.compare.models.activations import random_sets

    toxic = [(0, 3), (2, 9), (2, 10), (2, 11)]
    sets = random_sets(gpt2, toxic, 5, seed=1)
    assert len(sets) == 5
    for drawn in sets:
        assert [layer for layer, _ in drawn] == [0, 2, 2, 2]
        assert len(set(drawn)) == 4
        assert not set(drawn) & set(toxic)
    assert random_sets(gpt2, [(1, i) for i in range(gpt2.d_mlp - 1)], 5) == []


def test_an_edit_of_activations_cannot_move_them(gpt2):
    found = values_kept(gpt2, one("1.mlp_out", Add(torch.ones(32))), direction(gpt2), top=5)
    assert found.identity
    assert found.cosine.value == 1


def test_the_base_is_as_it_was(gpt2):
    before = gpt2.fingerprint
    values_kept(gpt2, turned(gpt2, [(1, 1)]), direction(gpt2), top=5)
    assert gpt2.fingerprint == before


def test_what_cannot_be_compared_is_refused(gpt2):
    w = direction(gpt2)
    with pytest.raises(DataError, match="1 value vectors"):
        values_kept(gpt2, NoOp(), w, top=1)
    with pytest.raises(ModelError, match="differ in"):
        values_kept(gpt2, tiny_model("llama"), w, top=5)


def turned(lm: LanguageModel, places: list[tuple[int, int]]) -> WeightEdit:
    """Value vectors turned round."""
    deltas = {}
    for layer in {layer for layer, _ in places}:
        weight = lm.anatomy[layer].w_out.weight.detach()
        change, rows = torch.zeros_like(weight), [i for at, i in places if at == layer]
        change[rows] = -2 * weight[rows]  # Conv1D: a row is a value vector
        deltas[lm.parameter_name(lm.anatomy[layer].w_out)] = Dense(change)
    return WeightEdit(deltas, name="turned")
