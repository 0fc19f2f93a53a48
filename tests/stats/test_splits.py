from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.errors import DataError
from bezoar.stats import (
    grouped_folds,
    hash_halves,
    hash_split,
    joint_groups,
    near_duplicates,
    shared_runs,
    text_key,
)
from bezoar.stats.duplicates import _word_pairs

TEXTS = [f"text number {i} about {w}" for i in range(200) for w in ("trees", "rivers", "night")]


def test_parts_are_disjoint_complete_and_stable_in_any_order():
    parts = hash_split(TEXTS)
    assert list(parts) == ["train", "select", "report"]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(TEXTS)))
    order = np.random.default_rng(0).permutation(len(TEXTS))
    moved = hash_split([TEXTS[i] for i in order])
    for name, rows in parts.items():
        assert {TEXTS[i] for i in rows} == {TEXTS[order[i]] for i in moved[name]}
        share = {"train": 0.6, "select": 0.2, "report": 0.2}[name]
        assert len(rows) / len(TEXTS) == pytest.approx(share, abs=0.08)


def test_reposted_text_falls_on_one_side():
    first, second = hash_halves(["You  FOOL", "you fool", "ｙｏｕ fool"] * 3, "salt")
    assert len(first) in (0, 9)
    assert len(second) == 9 - len(first)


def test_salts_are_independent():
    one, two = (set(hash_halves(TEXTS, salt)[0].tolist()) for salt in ("a", "b"))
    assert len(one & two) / len(TEXTS) == pytest.approx(0.25, abs=0.07)


def test_shares_must_sum_to_one():
    with pytest.raises(DataError, match=r"1\.1"):
        hash_split(TEXTS, {"a": 0.6, "b": 0.5})


def test_joint_groups_are_connected_through_any_key():
    # 0-1 share a text, 1-2 a thread, 3 stands alone; None joins nobody.
    groups = joint_groups(["x", "x", "y", "z", "w"], [None, 7, 7, None, None])
    assert groups.tolist() == [0, 0, 0, 1, 2]


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), min_size=2, max_size=60),
    st.integers(2, 4),
)
def test_folds_part_no_group_and_leave_none_empty(rows, n_folds):
    groups, labels = [g for g, _ in rows], [y for _, y in rows]
    if len(set(groups)) < n_folds:
        with pytest.raises(DataError, match="cannot fill"):
            grouped_folds(groups, n_folds, labels)
        return
    folds = grouped_folds(groups, n_folds, labels)
    assert set(folds.tolist()) == set(range(n_folds))
    assert len(set(zip(groups, folds.tolist(), strict=True))) == len(set(groups))


def test_folds_of_single_rows_are_stratified():
    labels = np.arange(100) < 30
    folds = grouped_folds(list(range(100)), 5, labels)
    for fold in range(5):
        assert (folds == fold).sum() == 20
        assert labels[folds == fold].sum() == 6
    assert (folds != grouped_folds(list(range(100)), 5, labels, seed=1)).any()


def test_folds_of_repeated_texts():
    texts = ["a b c", "A  b c", "d", "e", "f", "g"]
    folds = grouped_folds([text_key(t) for t in texts], 3)
    assert folds[0] == folds[1]


def brute_force(texts_a, texts_b, threshold):
    found = {}
    for i, a in enumerate(texts_a):
        for j, b in enumerate(texts_b):
            x, y = _word_pairs(a), _word_pairs(b)
            similarity = len(x & y) / len(x | y)
            if similarity >= threshold and similarity > found.get(i, (0, 0))[1]:
                found[i] = (j, similarity)
    return found


WORDS = st.lists(st.sampled_from(["you", "fool", "and", "the", "tree", "is"]), max_size=9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(WORDS.map(" ".join), max_size=8),
    st.lists(WORDS.map(" ".join), max_size=8),
    st.sampled_from([0.3, 0.5, 0.8, 1.0]),
)
def test_near_duplicates_are_those_of_brute_force(texts_a, texts_b, threshold):
    found = near_duplicates(texts_a, texts_b, threshold)
    expected = brute_force(texts_a, texts_b, threshold)
    assert found.a == tuple(expected)
    assert found.b == tuple(j for j, _ in expected.values())
    np.testing.assert_allclose(found.similarity, [s for _, s in expected.values()])


def test_near_duplicates_see_through_case_punctuation_and_a_changed_word():
    comment = "You have edited the page on rivers three times today, please stop doing that."
    found = near_duplicates(
        [comment.upper() + "!!!", "Something else entirely.", comment.replace("three", "four")],
        ["A page on trees.", comment],
    )
    assert found.a == (0, 2)
    assert found.b == (1, 1)
    assert found.similarity[0] == 1.0


def test_scripts_without_blanks_are_compared_sign_by_sign():
    found = near_duplicates(
        ["这个人真的是非常非常愚蠢的一个傻瓜"], ["这个人真的是非常非常愚蠢的一个笨蛋"]
    )
    assert found.a == (0,)


def test_hostile_texts_are_compared_too():
    texts = ["", "\ud800 lone", "\0\0\0", "🙂🙂🙂🙂🙂🙂", "!!!"]
    assert near_duplicates(texts, texts).a == tuple(range(5))


@given(
    st.lists(st.text("ab ,", max_size=12), max_size=4),
    st.lists(st.text("ab ,", max_size=12), max_size=4),
    st.integers(1, 4),
)
def test_shared_runs_are_those_of_brute_force(texts_a, texts_b, words):
    split_a, split_b = ([t.replace(",", " ").split() for t in ts] for ts in (texts_a, texts_b))

    def runs(text, n):
        return [text[i : i + n] for i in range(len(text) - n + 1)]

    def shared(text):
        n = min(words, len(text))
        return n > 0 and any(run in runs(other, n) for other in split_b for run in runs(text, n))

    expected = tuple(row for row, text in enumerate(split_a) if shared(text))
    assert shared_runs(texts_a, texts_b, words) == expected


def test_runs_have_a_word_at_least():
    with pytest.raises(DataError, match="words is 0"):
        shared_runs(["a"], ["a"], 0)
