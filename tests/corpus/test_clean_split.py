"""Cleaning counts every drop; the split shares no text, no near repeat and no group."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.corpus import Corpus, clean, split_corpus
from bezoar.errors import DataError
from bezoar.runs.results import load_result, save_result
from bezoar.stats.duplicates import near_duplicates
from bezoar.stats.splits import text_key


def corpus_of(texts, labels, **columns) -> Corpus:
    return Corpus(tuple(texts), np.array(labels), **columns)


def test_every_drop_is_listed_under_its_reason(tmp_path):
    texts = ["one", "", " \n\u200b", "One ", "two", "two", "three", "THREE", "\ufffd", "four"]
    labels = [1, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    kept, report = clean(corpus_of(texts, labels))
    assert kept.texts == ("one", "two", "four")
    assert report.dropped == {"empty": (1, 2, 8), "conflict": (6, 7), "duplicate": (3, 5)}
    assert str(report) == "3 of 10 texts kept (3 empty, 2 conflict, 2 duplicate)"
    assert kept.origin.notes == (str(report),)
    save_result(tmp_path / "r.json", report)
    assert load_result(tmp_path / "r.json", type(report)) == report


@given(st.lists(st.tuples(st.text("aAbB \n", max_size=4), st.integers(0, 1)), min_size=1))
def test_cleaning_accounts_for_every_row_and_leaves_nothing_to_clean(rows):
    texts, labels = zip(*rows, strict=True)
    corpus = corpus_of(texts, labels)
    try:
        kept, report = clean(corpus)
    except DataError as error:
        assert "Nothing is left" in str(error) or "leaves no text of label" in str(error)
        return
    dropped = [row for rows in report.dropped.values() for row in rows]
    assert kept.origin.rows in (0, len(corpus))
    assert sum(kept.origin.left_out.values()) == len(dropped)
    assert len(set(dropped)) == len(dropped) == len(corpus) - len(kept)
    assert kept.hash == corpus.take(sorted(set(range(len(corpus))) - set(dropped))).hash
    assert clean(kept)[1].rows_out == len(kept)
    assert clean(kept)[0] is kept


def sentences(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    words = np.array([f"w{i}" for i in range(400)])
    return [" ".join(rng.choice(words, size=14)) for _ in range(n)]


def test_parts_are_a_partition_that_shares_nothing():
    base = sentences(300)
    # A near repeat of every fifth text: one word of fourteen is another.
    near = [" ".join(["other", *text.split()[1:]]) for text in base[::5]]
    texts = base + near + [text.upper() for text in base[:20]]
    parts = split_corpus(corpus_of(texts, np.arange(len(texts)) % 2))
    assert sorted(text for part in parts for text in part.texts) == sorted(texts)
    for i, first in enumerate(parts):
        for second in parts[i + 1 :]:
            assert len(near_duplicates(first.texts, second.texts)) == 0
            assert not set(map(text_key, first.texts)) & set(map(text_key, second.texts))
    shares = [len(part) / len(texts) for part in parts]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.08)


def test_groups_stay_together():
    texts = sentences(300)
    groups = tuple(f"g{i // 4}" if i < 200 else "" for i in range(300))
    parts = split_corpus(corpus_of(texts, np.arange(300) % 2, group=groups))
    named = [{g for g in part.group if g} for part in parts]
    assert sum(map(len, named)) == len(set.union(*named)) == 50
    # "" is no group: those texts are spread.
    assert all("" in part.group for part in parts)


def test_side_of_a_text_does_not_depend_on_the_rest():
    texts = sentences(200)
    whole = split_corpus(corpus_of(texts, np.arange(200) % 2))
    some = split_corpus(corpus_of(texts[::-2], np.arange(100) % 2))
    side = {text: name for name, part in zip("tsr", whole, strict=True) for text in part.texts}
    for name, part in zip("tsr", some, strict=True):
        assert all(side[text] == name for text in part.texts)


def test_a_split_that_the_corpus_brings_is_kept():
    names = ("train", "select", "report") * 4
    corpus = corpus_of(sentences(12), [0, 0, 0, 1, 1, 1] * 2, split=names)
    parts = split_corpus(corpus)
    assert [set(part.split) for part in parts] == [{"train"}, {"select"}, {"report"}]


def test_usual_words_for_the_parts_are_taken_and_said():
    names = ("Training", "validation", "held-out") * 4
    parts = split_corpus(corpus_of(sentences(12), [0, 0, 0, 1, 1, 1] * 2, split=names))
    assert [part.texts for part in parts] == [tuple(sentences(12)[k::3]) for k in range(3)]
    said = "split: 'Training' taken for train, 'held-out' taken for report, 'validation' taken for"
    assert all(part.origin.notes[0] == f"{said} select" for part in parts)


def test_a_split_that_is_not_understood_is_never_replaced_in_silence():
    corpus = corpus_of(sentences(60), np.arange(60) % 2, split=("train", "dev", "x") * 20)
    with pytest.raises(DataError, match=r"holds 'dev', 'train', 'x', and what 'x' means is not"):
        split_corpus(corpus)
    with pytest.raises(DataError, match=r"'corpus' has no report part: it holds 'select', 'train'"):
        split_corpus(dataclasses.replace(corpus, split=("train", "dev", "dev") * 20))


def test_a_select_part_that_is_missing_is_cut_from_train_alone():
    texts, names = sentences(400), ("train", "train", "train", "test") * 100
    parts = split_corpus(corpus_of(texts, np.arange(400) // 4 % 2, split=names))
    assert set(parts.report.texts) == set(texts[3::4])
    assert set(parts.train.texts) | set(parts.select.texts) == set(texts) - set(texts[3::4])
    assert 40 < len(parts.select) < 110  # a quarter of 300, by hash


def test_parts_that_cannot_be_used_are_refused():
    with pytest.raises(DataError, match=r"All 50 texts of 'corpus' have label 0, and both labels"):
        split_corpus(corpus_of(sentences(50), np.zeros(50, int)))
    few = "'corpus' has 49 texts of label 0 and 1 of label 1: too few for three parts with both"
    with pytest.raises(
        DataError, match=few + r"\. Its \w+ part would have \d+ texts, all of label"
    ):
        split_corpus(corpus_of(sentences(50), [1] + [0] * 49))
    with pytest.raises(DataError, match="label 1, whose groups stay together: too few"):
        split_corpus(corpus_of(sentences(50), np.arange(50) % 2, group=("one",) * 50))
    with pytest.raises(DataError, match=r"sum to 1\.1"):
        split_corpus(corpus_of(sentences(50), np.arange(50) % 2), (0.6, 0.3, 0.2))


def test_conflicts_are_explained_with_their_rows():
    texts = ["a text", "A  TEXT", "other", "more", "again", "again"]
    kept, report = clean(corpus_of(texts, [1, 0, 1, 0, 1, 1]))
    assert report.conflicts == ("Rows 0 (label 1), 1 (label 0) have one text: 'a text'",)
    assert kept.origin.left_out == {"conflict": 2, "duplicate": 1}
    assert (kept.origin.rows, len(kept)) == (6, 3)


def test_a_label_that_cleaning_takes_is_named_with_the_cause():
    with pytest.raises(DataError) as raised:
        clean(corpus_of(["a", "b", "A"], [0, 0, 1]))
    assert str(raised.value) == (
        "Cleaning 'corpus': 1 of 3 texts kept (2 conflict), which leaves no text of label 1 "
        "(there was 1). conflict is the same text with both labels. Rows 0 (label 0), 2 (label 1) "
        "have one text: 'a'."
    )


def test_repeats_across_a_corpus_own_splits_are_counted_and_left_out():
    base = sentences(60)
    near = " ".join(["other", *base[59].split()[1:]])  # of a text of the report part
    texts = [*base, near, base[3]]
    names = ("train",) * 20 + ("select",) * 20 + ("report",) * 20 + ("train", "report")
    corpus = corpus_of(texts, [*(np.arange(60) % 2), 0, 1], split=names)
    kept, report = clean(corpus)
    assert str(report) == "61 of 62 texts kept (1 duplicate, 1 of them of another split)"
    parts = split_corpus(kept)
    assert [len(part) for part in parts] == [20, 20, 20]
    for part in parts:
        assert part.origin.left_out["nearly repeats a later part"] == 1
        assert part.origin.rows == len(part) + sum(part.origin.left_out.values()) == 62
    assert "1 texts that nearly repeat one of a later part left out" in parts.train.origin.notes
