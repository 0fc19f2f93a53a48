"""The noun: columns that stay together, on disk as in memory, and parts that share no prompt."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.corpus import Origin
from bezoar.errors import CorruptArtefact, DataError
from bezoar.pairs import Pairs

PAIRS = Pairs(
    prompts=("The sea", "The sea", ""),
    chosen=(" is calm.", " is blue.", "Please leave."),
    rejected=(" is stupid.", " is dumb.", "Get lost."),
    chosen_score=(0.1, 0.0, 0.25),
    rejected_score=(0.9, 0.8, 0.75),
    name="three",
    origin=Origin("three.csv", "abc", ("a note",), 4, {"equal sides": 1}),
    provenance={"how": "by hand", "strengths": [1.0, 2.0]},
)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    path = tmp_path / "pairs.parquet"
    PAIRS.save(path)
    again = Pairs.load(path)
    assert again.hash == PAIRS.hash
    for field in dataclasses.fields(PAIRS):
        assert getattr(again, field.name) == getattr(PAIRS, field.name), field.name
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first


def test_a_file_of_another_noun_is_refused(tmp_path):
    path = tmp_path / "pairs.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(CorruptArtefact, match="cannot be read as Pairs"):
        Pairs.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": ("a",)}, "chosen has 1 rows, prompts has 3"),
        ({"rejected": ("a", "\ud83d", "b")}, "Text 1 holds a lone surrogate"),
        ({"chosen_score": None}, "Only one side"),
        ({"chosen_score": (0.1, 1.5, 0.2)}, "chosen_score of pair 1 is 1.5"),
        ({"chosen_score": (0.1, float("nan"), 0.2)}, "chosen_score of pair 1 is nan"),
        ({"rejected_score": (0.1,)}, "rejected_score has 1 rows"),
    ],
)
def test_what_is_no_pair_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        dataclasses.replace(PAIRS, **change)


def test_a_subset_says_what_it_left_out():
    two = PAIRS.subset([2, 0])
    assert two.prompts == ("", "The sea")
    assert two.chosen_score == (0.25, 0.1)
    assert two.origin.left_out == {"equal sides": 1, "not taken": 1}


def test_swapping_twice_changes_nothing_and_once_negates_the_margin():
    swapped = PAIRS.swapped()
    assert swapped.chosen == PAIRS.rejected
    assert swapped.margin == tuple(-m for m in PAIRS.margin)
    assert swapped.swapped().hash == PAIRS.hash


def test_a_margin_needs_scores():
    with pytest.raises(DataError, match="has no scores"):
        _ = dataclasses.replace(PAIRS, chosen_score=None, rejected_score=None).margin


words = st.sampled_from(["", "sea", "SEA", "a b c", "a  b C", "hill top", "x y z w v u t", "q"])


@given(st.lists(st.tuples(words, words, words), max_size=30), st.sampled_from(["s", "t", "u"]))
def test_no_prompt_stands_in_two_parts_and_no_pair_is_lost(rows, salt):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    pairs = Pairs(*columns)
    parts = pairs.split({"a": 0.4, "b": 0.3, "c": 0.3}, salt)
    assert sum(map(len, parts.values())) == len(pairs)
    seen = [
        {(p or r).casefold().replace("  ", " ") for p, r in zip(x.prompts, x.rejected, strict=True)}
        - {""}
        for x in parts.values()
    ]
    prompts = [{p.casefold().replace("  ", " ") for p in x.prompts} - {""} for x in parts.values()]
    for i in range(3):
        for j in range(i):
            assert not prompts[i] & prompts[j]
            assert not seen[i] & seen[j]


def test_near_repeats_stay_together_unless_told_otherwise():
    long = "The ship left the harbour of the old town early in the grey morning of"
    prompts = tuple(f"{long} day {n}" for n in range(40))
    pairs = Pairs(prompts, ("a",) * 40, ("b",) * 40)
    shares = {"train": 0.5, "select": 0.5}
    apart, together = pairs.split(shares, near=None), pairs.split(shares)
    assert all(map(len, apart.values()))
    assert sorted(map(len, together.values())) == [0, 40]


def test_parts_do_not_depend_on_the_order_of_rows():
    prompts = tuple(f"Sentence {n} about something" for n in range(60))
    pairs = Pairs(prompts, ("a",) * 60, ("b",) * 60)
    parts = pairs.split({"train": 0.7, "select": 0.3}, near=None)
    back = pairs.subset(range(59, -1, -1)).split({"train": 0.7, "select": 0.3}, near=None)
    for name, part in parts.items():
        assert len(part) > 5
        assert set(part.prompts) == set(back[name].prompts)
