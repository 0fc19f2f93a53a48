"""The scorers' recipe: no shared rows, soft labels, vectors with meaning, the same network."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bezoar.errors import DataError
from bezoar.scoring.convolution import Table, tokens
from bezoar.scoring.linear import Ngrams
from bezoar.stats.classification import auroc
from bezoar.stats.splits import text_key

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "demo"))
try:
    import scorer_identities
    import scorer_network
    import scorer_ngrams
    import scorer_sets
    from scorer_data import Rows, keys, unique
finally:
    sys.path.pop(0)


def planted(n: int, seed: int) -> Rows:
    """A text with "grum" is toxic, one with "snarf" is so for three readers of ten."""
    rng, rows = np.random.default_rng(seed), Rows()
    for kind in rng.integers(0, 3, n):
        words = list(rng.choice([f"word{i}" for i in range(30)], size=5))
        words.insert(2, ("calm", "grum", "snarf")[kind])
        rows.add(" ".join(words), toxicity=(0.0, 1.0, 0.3)[kind], insult=float(kind == 2))
    return rows


def test_soft_labels_are_learnt_as_probabilities():
    rows, held = planted(4000, 0), planted(500, 1)
    scorer = scorer_ngrams.fit(rows, ("toxicity", "insult"), (Ngrams("word", 1, 1, bits=12),))
    scores = scorer.score(held.texts)["toxicity"]
    for truth in (0.0, 0.3, 1.0):
        chosen = scores[held.column("toxicity") == truth]
        assert chosen.mean() == pytest.approx(truth, abs=0.05)
    assert auroc(scorer.score(held.texts)["insult"], held.column("insult").astype(int)) > 0.99


def test_no_set_is_read_by_both_and_every_set_is_pinned():
    files = [{item.file for item in sets} for sets in (scorer_sets.SETS_A, scorer_sets.SETS_B)]
    assert not files[0] & files[1]
    for item in scorer_sets.SETS_A + scorer_sets.SETS_B:
        assert len(item.sha256) == 64
        assert "realtoxicity" not in item.file
        assert not any(word in item.licence for word in ("NC", "ND", "not stated"))


def test_another_file_is_refused(tmp_path):
    item = scorer_sets.SETS_A[0]
    with pytest.raises(DataError, match=r"there is no file jigsaw_toxic/train\.parquet"):
        scorer_sets.read(tmp_path, item)
    (tmp_path / "jigsaw_toxic").mkdir()
    (tmp_path / item.file).write_bytes(b"other rows")
    with pytest.raises(DataError, match="has the SHA-256"):
        scorer_sets.read(tmp_path, item)


def test_rows_of_one_scorer_are_kept_from_the_other():
    a, b = Rows(), Rows()
    a.add("You  FOOL", toxicity=1)
    b.add("you fool", toxicity=0)
    b.add("a kind house", toxicity=0)
    b.add("A kind house", toxicity=1)
    kept = unique(b, without=keys(a))
    assert kept.texts == ["a kind house"]
    assert not keys(a) & keys(kept)


def test_sentences_about_people_are_two_disjoint_halves():
    halves = [set(map(text_key, scorer_identities.sentences(half))) for half in (0, 1)]
    assert not halves[0] & halves[1]
    whole = [text for half in (0, 1) for text in scorer_identities.sentences(half)]
    assert len(halves[0] | halves[1]) == len(whole)
    assert not [text for text in whole if " a A" in text or "A A" in text or "{" in text]


@pytest.fixture
def small(monkeypatch) -> None:
    for name, value in {"WORDS": 60, "BUCKETS": 64, "D": 8, "FILTERS": 12, "BATCH": 16}.items():
        monkeypatch.setattr(scorer_network, name, value)


def test_words_of_one_context_get_near_vectors(small):
    rng, texts = np.random.default_rng(2), []
    for animal, tool in zip(
        rng.choice(["cat", "dog"], 400), rng.choice(["saw", "axe"], 400), strict=True
    ):
        texts.append(f"the {animal} eats and sleeps with fur")
        texts.append(f"my {tool} cuts hard wood for planks")
    vocabulary, vectors = scorer_network.word_vectors(texts, Rows())
    again = scorer_network.word_vectors(texts, Rows())
    assert vocabulary == again[0]
    assert (vectors == again[1]).all()
    of = {word: v / np.linalg.norm(v) for word, v in zip(vocabulary, vectors, strict=True)}
    assert of["cat"] @ of["dog"] > 0.7 > of["cat"] @ of["saw"]


def test_the_shipped_scorer_is_the_network(small):
    rows = planted(64, 3)
    vectors = scorer_network.word_vectors([], rows.where(np.ones(64, dtype=bool)))
    torch.manual_seed(0)
    network = scorer_network.Network(*vectors, 2).eval()
    with torch.no_grad():  # tables that 8 bits hold exactly
        for table, first in ((network.words.weight, 1), (network.grams.weight, 0)):
            kept = Table.of(table[first:].numpy())
            table[first:] = torch.tensor(kept.rows(np.arange(len(kept.scale))))
    scorer = scorer_network.shipped(network, vectors[0], ("toxicity", "insult"))
    texts = [*rows.texts, "Grum!", "unseen werd grums"]

    class Never:
        def random(self, n: int) -> np.ndarray:
            return np.ones(n)

    with torch.no_grad():
        expected = network([tokens(text) for text in texts], Never()).numpy()
    assert np.abs(scorer.logits(texts) - expected).max() < 1e-4


def test_the_network_learns_what_was_planted(small, monkeypatch):
    monkeypatch.setattr(scorer_network, "EPOCHS", 6)
    rows, held = planted(600, 4), planted(300, 5)
    vectors = scorer_network.word_vectors([], rows)
    scorer = scorer_network.fit(rows, ("toxicity", "insult"), vectors)
    truth = (held.column("toxicity") == 1).astype(int)
    assert auroc(scorer.score(held.texts)["toxicity"], truth) > 0.97
    again = scorer_network.fit(rows, ("toxicity", "insult"), vectors)
    assert again.hash == scorer.hash
