"""The nouns: columns that stay together, on disk as in memory, and damage that is noticed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.corpus import Corpus, NeutralText, Origin, Prompts
from bezoar.errors import CorruptArtefact, DataError


def small() -> Corpus:
    return Corpus(
        texts=("one", "two", "three"),
        labels=np.array([1, 0, 1]),
        source=("x", "y", "x"),
        category=("insult", "", ""),
        name="small",
        origin=Origin("small.csv", "abc", ("a note",)),
    )


NOUNS = (
    small(),
    Prompts(("You", "I"), toxicity=np.array([0.5, np.nan]), source=("a", "b")),
    NeutralText(("The sea.", ""), tokenised=True),
)


@pytest.mark.parametrize("rows", NOUNS, ids=lambda rows: type(rows).__name__)
def test_what_is_saved_is_what_is_loaded(rows, tmp_path):
    path = tmp_path / "rows.parquet"
    rows.save(path)
    again = type(rows).load(path)
    assert again.hash == rows.hash
    for field in dataclasses.fields(rows):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(rows, field.name))
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first


text = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)


@given(st.lists(st.tuples(text, st.integers(0, 1), text), min_size=1, max_size=8))
def test_any_text_survives_the_file(tmp_path_factory, rows):
    texts, labels, source = zip(*rows, strict=True)
    corpus = Corpus(texts, np.array(labels), source=source)
    path = tmp_path_factory.mktemp("corpus") / "c.parquet"
    corpus.save(path)
    again = Corpus.load(path)
    assert again.texts == corpus.texts
    assert again.source == corpus.source
    assert (again.labels == corpus.labels).all()
    assert again.hash == corpus.hash


def test_hash_follows_contents_and_not_names():
    corpus = small()
    others = [
        dataclasses.replace(corpus, labels=np.array([1, 1, 1])),
        dataclasses.replace(corpus, texts=("one", "two", "Three")),
        dataclasses.replace(corpus, source=None),
        dataclasses.replace(corpus, source=None, category=corpus.source, group=corpus.category),
        corpus.take([0, 2, 1]),
    ]
    assert len({corpus.hash, *(other.hash for other in others)}) == 6
    assert dataclasses.replace(corpus, name="other", origin=Origin()).hash == corpus.hash


def test_take_keeps_columns_together():
    taken = small().take(np.array([False, True, True]), note="the last two")
    assert taken.texts == ("two", "three")
    assert taken.labels.tolist() == [0, 1]
    assert taken.source == ("y", "x")
    assert taken.origin.notes == ("a note", "the last two")
    assert small().take([2, 0]).texts == ("three", "one")


def test_arrays_cannot_be_written_to_and_are_not_shared():
    labels = np.array([0, 1], dtype=np.int8)
    corpus = Corpus(("a", "b"), labels)
    labels[:] = 1
    assert corpus.labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        corpus.labels[0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1])}, "'labels' has 2 rows, the texts have 3"),
        ({"labels": np.array([0, 1, 2])}, "labels holds 2: one 0 or 1"),
        ({"labels": np.array([0.0, 1.0, 0.5])}, "holds 0.5"),
        ({"source": ("x",)}, "'source' has 1 rows"),
        ({"texts": ("a", "b", "\ud800 bad")}, "Text 2 holds a lone surrogate"),
    ],
)
def test_impossible_columns_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        dataclasses.replace(small(), **change)


def test_prompt_scores_lie_in_the_unit_interval():
    with pytest.raises(DataError, match=r"runs from -1 to 0\.2"):
        Prompts(("a", "b"), toxicity=np.array([-1.0, 0.2]))


def test_damage_is_named(tmp_path):
    path = tmp_path / "c.parquet"
    with pytest.raises(CorruptArtefact, match="cannot be read as Corpus"):
        Corpus.load(path)
    path.write_bytes(b"PAR1 no parquet")
    with pytest.raises(CorruptArtefact, match="cannot be read as Corpus"):
        Corpus.load(path)
    small().save(path)
    with pytest.raises(CorruptArtefact, match="holds Corpus, not Prompts"):
        Prompts.load(path)
    table = pq.read_table(path)
    altered = table.set_column(0, "texts", [["one", "two", "four"]])
    pq.write_table(altered.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(CorruptArtefact, match="was altered"):
        Corpus.load(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(CorruptArtefact, match="cannot be read as Corpus"):
        Corpus.load(path)
