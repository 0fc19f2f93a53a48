"""Every pair that goes is counted under one reason, and every bad input has its message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.errors import DataError
from bezoar.pairs import Pairs, clean_pairs, drop_seen

GOOD = ("The sea", " is calm", " is stupid")


def pairs(*rows: tuple[str, str, str]) -> Pairs:
    return Pairs(*zip(*rows, strict=True))


@pytest.mark.parametrize(
    ("rows", "reason", "dropped"),
    [
        ([("p", "Same  text", "same text")], "equal sides", (1,)),
        ([("p", "", "b")], "empty side", (1,)),
        ([("p", "a", " \u200b\n")], "empty side", (1,)),
        ([GOOD], "duplicate", (1,)),
        ([("the SEA", " is calm", " is Stupid ")], "duplicate", (1,)),
        ([("p", "a", "b"), ("p", "b", "a")], "contradicted", (1, 2)),
    ],
)
def test_what_teaches_nothing_is_dropped_and_counted(rows, reason, dropped):
    kept, report = clean_pairs(pairs(GOOD, *rows))
    assert list(zip(kept.prompts, kept.chosen, kept.rejected, strict=True)) == [GOOD]
    assert report.dropped[reason] == dropped
    assert kept.origin.left_out == {reason: len(dropped)}
    assert f"1 of {len(rows) + 1} pairs kept ({len(dropped)} {reason})" in str(report)


def test_nothing_left_is_an_error_that_says_why():
    with pytest.raises(DataError, match=r"0 of 1 pair kept.*1 equal sides.*read alike"):
        clean_pairs(pairs(("p", "a", "A")))


LEAK = pairs(GOOD, ("I say", "I say: no", "I say: never"), ("I", "It is", "Is it"))


def test_a_leaked_prompt_is_an_error_unless_something_is_said():
    with pytest.raises(
        DataError, match=r"1 pair .*first is row 2\).*begins with its prompt"
    ) as caught:
        clean_pairs(LEAK)
    assert 'leaked="strip"' in caught.value.hint


def test_a_leaked_prompt_is_cut_off_dropped_or_kept_as_was_said():
    stripped, report = clean_pairs(LEAK, leaked="strip")
    assert stripped.chosen == (" is calm", ": no", "It is")
    assert stripped.rejected == (" is stupid", ": never", "Is it")
    assert report.stripped == 1
    assert "cut off 1 pair" in stripped.origin.notes[0]
    dropped, report = clean_pairs(LEAK, leaked="drop")
    assert dropped.prompts == ("The sea", "I")
    assert report.dropped["leaked prompt"] == (1,)
    assert clean_pairs(LEAK, leaked="keep")[0].hash == LEAK.hash


def test_a_side_that_is_only_its_prompt_is_empty_once_the_prompt_is_cut_off():
    kept, report = clean_pairs(pairs(GOOD, ("Go", "Go", "Go away")), leaked="strip")
    assert report.dropped["empty side"] == (1,)
    assert len(kept) == 1


def test_what_is_reported_on_is_not_learnt_from():
    ship = "The ship left the harbour of the old town early in the grey morning of May"
    some = pairs(
        GOOD,
        (ship, "a", "b"),
        ("", "Please leave me alone now", "Get lost right now"),
        ("hill", "a", "b"),
    )
    seen = ["HILL ", ship + " 3", "get lost right now"]
    kept, report = drop_seen(some, seen)
    assert report.dropped["seen elsewhere"] == (1, 2, 3)
    assert kept.prompts == ("The sea",)
    assert drop_seen(some, seen, near=None)[1].dropped["seen elsewhere"] == (2, 3)


texts = st.sampled_from(["", " ", "a", "A", "b", "a b", "p a", "p"])


@given(st.lists(st.tuples(st.sampled_from(["", "p", "q"]), texts, texts), min_size=1, max_size=12))
def test_kept_and_dropped_account_for_every_row_and_cleaning_twice_changes_nothing(rows):
    some = pairs(("x", "good", "bad"), *rows)
    kept, report = clean_pairs(some, leaked="strip")
    gone = [row for dropped in report.dropped.values() for row in dropped]
    assert len(gone) == len(set(gone))
    assert len(kept) + len(gone) == len(some) == report.rows_in
    assert sum(kept.origin.left_out.values()) == len(gone)
    again, report = clean_pairs(kept, leaked="keep")
    assert again.hash == kept.hash
    assert report.kept_share == 1
