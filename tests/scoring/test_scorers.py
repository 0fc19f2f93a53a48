from __future__ import annotations

import codecs
import json
import sys
import types

import numpy as np
import polars as pl
import pytest

from bezoar.errors import CorruptArtefact, DataError, ScorerError
from bezoar.scoring import (
    CachedScorer,
    FileScorer,
    Scorer,
    WordListScorer,
    attribute_name,
    load_scorer,
    score_texts,
    word_list,
)

TEXTS = ["you are kind", "you idiot", "the IDIOT, the stupid idiot!", ""]


class Fixed:
    """Returns what it is told, and counts how often it is asked."""

    name, hash, attributes, threshold, lineage = "fixed", "f" * 16, ("toxicity",), 0.5, "test"

    def __init__(self, answer=None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def score(self, texts):
        self.asked.extend(texts)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or {"toxicity": np.array([len(t) / 100 for t in texts])}


@pytest.mark.parametrize(
    "answer",
    [
        {"toxicity": [0.1, float("nan")]},
        {"toxicity": [0.1, 1.5]},
        {"toxicity": [0.1, -0.2]},
        {"toxicity": [0.1]},
        {"toxicity": [[0.1], [0.2]]},
        {"toxicity": ["high", "low"]},
        {"insult": [0.1, 0.2]},
        [0.1, 0.2],
        "high",
        RuntimeError("the service is gone"),
    ],
)
def test_a_failed_scorer_is_an_error_never_a_zero(answer) -> None:
    with pytest.raises(ScorerError, match="fixed"):
        score_texts(Fixed(answer), ["a", "b"])
    with pytest.raises(ScorerError, match="fixed"):
        CachedScorer(Fixed(answer)).score(["a", "b"])


def test_cache_asks_once_per_distinct_text_and_keeps_order() -> None:
    inner = Fixed()
    cached = CachedScorer(inner)
    assert isinstance(cached, Scorer)
    first = cached.score(["bb", "a", "bb"])["toxicity"]
    assert first.tolist() == [0.02, 0.01, 0.02]
    assert cached.score(["A", "a", "bb"])["toxicity"].tolist() == [0.01, 0.01, 0.02]
    assert inner.asked == ["bb", "a", "A"]  # case matters
    assert cached.score([])["toxicity"].shape == (0,)


def test_cache_on_disk_outlives_the_process_and_names_damage(tmp_path) -> None:
    scores = CachedScorer(Fixed(), tmp_path).score(["a", "bb"])["toxicity"]
    again = Fixed()
    CachedScorer(again, tmp_path).score(["ccc"])
    later = Fixed()
    assert CachedScorer(later, tmp_path).score(["a", "bb"])["toxicity"].tolist() == scores.tolist()
    assert later.asked == []
    part = next(tmp_path.rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(CorruptArtefact, match=part.name):
        CachedScorer(Fixed(), tmp_path)


def test_other_scorer_other_cache(tmp_path) -> None:
    CachedScorer(Fixed(), tmp_path).score(["a"])
    changed = Fixed({"toxicity": [0.9]})
    changed.hash = "e" * 16
    assert CachedScorer(changed, tmp_path).score(["a"])["toxicity"].tolist() == [0.9]


def test_words_score_by_their_occurrences() -> None:
    scores = WordListScorer().score(TEXTS)
    assert scores["toxicity"].tolist() == pytest.approx([0, 0.6, 1 - 0.4**3, 0])
    assert scores["insult"].tolist() == scores["toxicity"].tolist()
    assert not scores["profanity"].any()


def test_words_match_whole_words_only() -> None:
    scorer = WordListScorer({"profanity": ["bad", "rott*"]})
    scores = scorer.score(["badly done", "so Bad.", "rotten", "carotte"])["profanity"]
    assert (scores > 0).tolist() == [False, True, True, False]
    assert scorer.hash != WordListScorer().hash


def test_listed_words_are_not_readable_in_the_source() -> None:
    import inspect

    from bezoar.scoring import words

    source = inspect.getsource(words)
    strong = [w.strip("*") for w in word_list("profanity")]
    assert len(strong) > 10
    assert not [w for w in strong if f" {w}" in source]
    assert codecs.encode(strong[0], "rot13") in source


def test_attribute_names() -> None:
    assert attribute_name("obscene") == "profanity"
    assert attribute_name("SEXUALLY_EXPLICIT") == "sexually_explicit"
    assert attribute_name("identity_hate") == "identity_attack"
    assert attribute_name("muslim") is None
    assert attribute_name("hate") is None


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_file_scores_by_text(tmp_path, suffix) -> None:
    path = tmp_path / f"scores.{suffix}"
    frame = pl.DataFrame({"text": ["a", "b"], "TOXICITY": [0.25, 0.5], "obscene": [0.0, 1.0]})
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[suffix](
        path
    )
    scorer = load_scorer(f"file:{path}")
    assert scorer.attributes == ("toxicity", "profanity")
    assert scorer.score(["b", "a", "b"])["toxicity"].tolist() == [0.5, 0.25, 0.5]
    with pytest.raises(ScorerError, match="1 of 2 texts"):
        scorer.score(["a", "new"])
    assert isinstance(scorer, FileScorer)
    assert scorer.missing(["new", "a", "new"]) == ["new"]


def test_file_columns_can_be_named_and_conflicts_are_refused(tmp_path) -> None:
    path = tmp_path / "scores.csv"
    pl.DataFrame({"prompt": ["a", "a"], "p": [0.2, 0.2]}).write_csv(path)
    scorer = load_scorer(f"file:{path}?text=prompt&toxicity=p")
    assert scorer.score(["a"])["toxicity"].tolist() == [0.2]
    with pytest.raises(DataError, match="'text'"):
        load_scorer(f"file:{path}")
    pl.DataFrame({"text": ["a"], "p": [0.2]}).write_csv(path)
    with pytest.raises(ScorerError, match="no toxicity column"):
        load_scorer(f"file:{path}")
    pl.DataFrame({"text": ["a", "a"], "toxicity": [0.2, 0.3]}).write_csv(path)
    with pytest.raises(ScorerError, match="two scores"):
        load_scorer(f"file:{path}")


def test_file_null_is_not_a_zero(tmp_path) -> None:
    path = tmp_path / "scores.jsonl"
    rows = [{"text": "a", "toxicity": None}, {"text": "b", "toxicity": 0.5}]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ScorerError, match="nan"):
        score_texts(load_scorer(f"file:{path}"), ["a"])


def test_unknown_scorer_names_the_nearest(tmp_path) -> None:
    with pytest.raises(ScorerError, match="'words'"):
        load_scorer("word")
    with pytest.raises(ScorerError, match="no word list"):
        load_scorer(f"words:{tmp_path / 'no.txt'}")
    (tmp_path / "w.txt").write_text("rotten\n\nfoul*\n")
    assert load_scorer(f"words:{tmp_path / 'w.txt'}").score(["foulest"])["toxicity"][0] == 0.8


def test_demo_scorers_and_folders(tmp_path, monkeypatch) -> None:
    from bezoar.scoring.linear import LinearScorer, Ngrams

    made = LinearScorer.fit(
        ["a fool", "an idiot", "a kind man", "a good day"] * 3,
        {"toxicity": [1, 1, 0, 0] * 3},
        ngrams=[Ngrams(bits=8)],
        lineage="toy",
    )
    made.save(tmp_path / "b")
    assert load_scorer(str(tmp_path / "b")).hash == made.hash
    monkeypatch.setitem(sys.modules, "bezoar_demo", None)  # as if it were not installed
    with pytest.raises(ScorerError, match="pip install"):
        load_scorer("demo-b")
    demo = types.SimpleNamespace(scorer_path=lambda which: tmp_path / which)
    monkeypatch.setitem(sys.modules, "bezoar_demo", demo)
    assert load_scorer("demo-b").hash == made.hash
    with pytest.raises(CorruptArtefact):
        load_scorer("demo-a")
