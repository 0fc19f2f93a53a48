"""Chinese sets: labels, kinds and parts are where their columns say; words are signs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bezoar.corpus import load_corpus, split_corpus
from bezoar.errors import DataError
from bezoar.locate.probe_base import make_folds
from bezoar.locate.rivals import words_rival
from bezoar.stats import auroc

SIGNS = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏余成"  # of a primer, a thousand signs long


def sentences(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Signs in any order; every second sentence also holds two that the others lack."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    texts = []
    for label in labels:
        signs = list(rng.choice(list(SIGNS[:-2]), 12))
        if label:
            signs[int(rng.integers(11))] = SIGNS[-2]
            signs[11] = SIGNS[-1]
        texts.append("".join(signs[:6]) + "，" + "".join(signs[6:]))
    return texts, labels


def cold(folder, parts, **more):
    texts, labels = sentences(len(parts))
    columns = {
        "TEXT": texts,
        "label": labels.tolist(),
        "topic": ["region", "race"] * (len(parts) // 2),
    }
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns | {"split": parts} | more), folder / "cold.parquet")
    return labels


def test_cold_keeps_its_own_parts(tmp_path) -> None:
    parts = ["train"] * 40 + ["dev"] * 10 + ["test"] * 20
    labels = cold(tmp_path / "c", parts)
    corpus = load_corpus("cold:c", data_root=tmp_path)
    assert corpus.labels.tolist() == labels.tolist()
    assert corpus.category[:2] == ("region", "race")
    assert corpus.split == ("train",) * 40 + ("select",) * 10 + ("report",) * 20
    assert any("own parts" in note for note in corpus.origin.notes)
    assert [len(part) for part in split_corpus(corpus)] == [40, 10, 20]


def test_cold_takes_the_part_that_a_row_came_in_before_the_split_that_it_names(tmp_path) -> None:
    cold(tmp_path, ["train"] * 12, part=["train"] * 8 + ["test"] * 4)
    assert load_corpus(f"cold:{tmp_path}").split == ("train",) * 8 + ("report",) * 4


def test_one_part_of_cold_alone_is_split_by_hash(tmp_path) -> None:
    cold(tmp_path, ["train"] * 60)
    corpus = load_corpus(f"cold:{tmp_path / 'cold.parquet'}")
    assert corpus.split is None
    assert all(len(part) for part in split_corpus(corpus))


def test_parts_of_cold_that_are_no_parts_are_named(tmp_path) -> None:
    cold(tmp_path, ["train", "test", "spare", "train"])
    with pytest.raises(DataError, match="spare"):
        load_corpus(f"cold:{tmp_path}")


def test_toxicn(tmp_path) -> None:
    texts, _ = sentences(4)
    columns = {
        "platform": ["zhihu", "tieba", "tieba", "zhihu"],
        "content": texts,
        "toxic": [0, 1, 1, 0],
        "toxic_type": [0, 1, 2, 0],
    }
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    corpus = load_corpus("toxicn:.", data_root=tmp_path)
    assert corpus.texts == tuple(texts)
    assert corpus.labels.tolist() == [0, 1, 1, 0]
    assert corpus.category == ("", "offensive", "hate", "")
    assert corpus.source == ("zhihu", "tieba", "tieba", "zhihu")
    assert corpus.split is None


def test_labels_that_are_none_are_named(tmp_path) -> None:
    texts, _ = sentences(2)
    columns = {"TEXT": texts, "label": [0, 3], "topic": ["a", "b"], "split": ["train", "test"]}
    pq.write_table(pa.table(columns), tmp_path / "cold.parquet")
    with pytest.raises(DataError, match="'label'"):
        load_corpus(f"cold:{tmp_path}")


def test_a_bag_of_words_knows_signs_where_no_blank_parts_them() -> None:
    train, labels = sentences(120)
    test, truth = sentences(60, seed=1)
    folds = make_folds(labels, None, 3, 0)
    _, decisions = words_rival(train, labels, test, folds)
    assert auroc(decisions, truth) > 0.99
