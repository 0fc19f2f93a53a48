"""The linear scorer: what is saved is what scores, damage is named, verdicts keep their rate."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from bezoar.errors import CorruptArtefact, ScorerError
from bezoar.scoring.linear import LinearScorer, Ngrams, featurise
from bezoar.stats.classification import auroc

WORDS = Ngrams("word", 1, 2, bits=12)
LETTERS = Ngrams("char_wb", 2, 4, bits=12)


def planted(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Texts whose label is whether they hold one of three words."""
    rng = np.random.default_rng(seed)
    ordinary = [f"word{i}" for i in range(60)]
    labels = rng.integers(0, 2, n)
    texts = []
    for label in labels:
        words = list(rng.choice(ordinary, size=rng.integers(4, 12)))
        if label:
            words.insert(int(rng.integers(len(words))), str(rng.choice(["grum", "blick", "snarf"])))
        texts.append(" ".join(words))
    return texts, labels


@pytest.fixture(scope="module")
def scorer() -> LinearScorer:
    texts, labels = planted(1200, 0)
    partly = np.where(np.arange(len(labels)) % 2, labels, np.nan)
    return LinearScorer.fit(
        texts, {"toxicity": labels, "insult": partly}, ngrams=[WORDS, LETTERS], C=10.0
    )


def test_learns_what_was_planted_and_nothing_from_shuffled_labels(scorer):
    texts, labels = planted(800, 1)
    scores = scorer.score(texts)
    assert auroc(scores["toxicity"], labels) > 0.99
    assert auroc(scores["insult"], labels) > 0.97
    shuffled = np.random.default_rng(2).permutation(planted(1200, 0)[1])
    null = LinearScorer.fit(planted(1200, 0)[0], {"toxicity": shuffled}, ngrams=[WORDS])
    assert abs(auroc(null.score(texts)["toxicity"], labels) - 0.5) < 0.12


def test_score_is_the_formula(scorer):
    text = "word1 grum word2, GRUM!"
    x = featurise([text], scorer.ngrams).toarray()[0]
    for block in (x[: 2**12], x[2**12 :]):
        assert np.linalg.norm(block) == pytest.approx(1, abs=1e-6)
    expected = 1 / (1 + np.exp(-(scorer.weights.astype(np.float64) @ x + scorer.bias)))
    got = scorer.score([text])
    assert [got[name][0] for name in scorer.attributes] == pytest.approx(expected, abs=1e-6)


def test_counts_are_dampened():
    once, thrice = (
        WORDS.features([text]).toarray()[0] for text in ("grum blick", "grum grum grum blick")
    )
    plain = np.count_nonzero(once), np.count_nonzero(thrice)
    assert plain == (3, 4)  # two words and a pair; two words and two pairs
    top = np.sort(thrice[thrice > 0])[::-1]
    # 1 + ln 3 for the word, 1 + ln 2 for the pair "grum grum".
    assert top[0] / top[-1] == pytest.approx(1 + np.log(3), rel=1e-5)
    assert top[1] / top[-1] == pytest.approx(1 + np.log(2), rel=1e-5)


def test_naive_bayes_weights_are_folded_into_the_saved_ones():
    texts, labels = planted(600, 3)
    scorer = LinearScorer.fit(texts, {"toxicity": labels}, ngrams=[WORDS], naive_bayes=True)
    held, truth = planted(400, 4)
    assert auroc(scorer.score(held)["toxicity"], truth) > 0.98


def test_batches_and_order_do_not_change_a_score(scorer, monkeypatch):
    texts, _ = planted(300, 5)
    whole = scorer.logits(texts)
    monkeypatch.setattr("bezoar.scoring.linear._BATCH", 7)
    assert np.abs(scorer.logits(texts) - whole).max() < 1e-6
    assert np.abs(scorer.logits(texts[::-1])[::-1] - whole).max() < 1e-6


def test_strange_texts_get_a_score(scorer):
    texts = ["", "   ", "\0", "𝒢rum" * 3, "a" * 1_000_000, "\u202egrum", "é" * 50]
    for values in scorer.score(texts).values():
        assert values.shape == (len(texts),)
        assert ((values >= 0) & (values <= 1)).all()
    assert scorer.score([])["toxicity"].shape == (0,)


def test_what_is_saved_is_what_scores(scorer, tmp_path):
    scorer.save(tmp_path)
    again = LinearScorer.load(tmp_path)
    texts, _ = planted(50, 6)
    assert (again.logits(texts) == scorer.logits(texts)).all()
    assert again.hash == scorer.hash
    before = (tmp_path / "scorer.safetensors").read_bytes(), (tmp_path / "scorer.json").read_bytes()
    again.save(tmp_path)
    assert before == (
        (tmp_path / "scorer.safetensors").read_bytes(),
        (tmp_path / "scorer.json").read_bytes(),
    )


def test_hash_follows_every_number_that_can_change_a_verdict(scorer):
    weights = scorer.weights.copy()
    weights[0, np.argmax(weights[0])] *= 1.5
    others = [
        dataclasses.replace(scorer, weights=weights),
        dataclasses.replace(scorer, bias=scorer.bias + 1),
        dataclasses.replace(scorer, threshold=0.25),
        dataclasses.replace(scorer, attributes=("insult", "toxicity")),
    ]
    assert len({scorer.hash, *(other.hash for other in others)}) == 5
    assert dataclasses.replace(scorer, name="other").hash == scorer.hash


def test_calibration_makes_probabilities(scorer):
    rng = np.random.default_rng(7)
    texts, labels = planted(4000, 8)
    noisy = np.where(rng.random(len(labels)) < 0.3, rng.integers(0, 2, len(labels)), labels)
    half = len(texts) // 2
    fitted = scorer.calibrated(texts[:half], {"toxicity": noisy[:half]})
    held = fitted.score(texts[half:])["toxicity"]
    assert held.mean() == pytest.approx(noisy[half:].mean(), abs=0.03)
    order = np.argsort(scorer.score(texts)["toxicity"], kind="stable")
    assert (np.diff(fitted.score(texts)["toxicity"][order]) > -5e-3).all()
    assert (fitted.weights[1] == scorer.weights[1]).all()


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.5])
def test_threshold_keeps_the_stated_rate(scorer, rate):
    texts, labels = planted(1000, 9)
    neutral = [text for text, label in zip(texts, labels, strict=True) if not label]
    judge = scorer.at_false_alarms(neutral, rate)
    share = (judge.score(neutral)["toxicity"] >= judge.threshold).mean()
    assert rate - 2 / len(neutral) <= share <= rate


def test_speed(scorer):
    texts, _ = planted(5000, 10)
    scorer.score(texts[:100])
    began = time.perf_counter()
    scorer.score(texts)
    # 5,000 a second is the promise; a busy machine is given some room.
    assert time.perf_counter() - began < 3


def test_one_class_is_refused():
    with pytest.raises(ScorerError, match="'insult' has labels"):
        LinearScorer.fit(["a", "b"], {"toxicity": [0, 1], "insult": [0, np.nan]}, ngrams=[WORDS])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"analyzer": "poem"}, "'poem' is none of"),
        ({"low": 3, "high": 2}, "n-grams of 3 to 2"),
        ({"bits": 40}, r"2\^40 buckets"),
    ],
)
def test_impossible_features_are_refused(change, message):
    with pytest.raises(ScorerError, match=message):
        dataclasses.replace(WORDS, **change)


def _edit_json(folder, change):
    path = folder / "scorer.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "scorer.json").unlink(),
        lambda f: (f / "scorer.json").write_text("{"),
        lambda f: (f / "scorer.json").write_text("[]"),
        lambda f: (f / "scorer.safetensors").write_bytes(b"\0" * 20),
        lambda f: (f / "scorer.safetensors").write_bytes(
            (f / "scorer.safetensors").read_bytes()[:-9]
        ),
        lambda f: _edit_json(f, lambda d: d | {"threshold": 0.9}),
        lambda f: _edit_json(f, lambda d: d | {"threshold": 7}),
        lambda f: _edit_json(f, lambda d: d | {"format": "other"}),
        lambda f: _edit_json(f, lambda d: d | {"attributes": ["toxicity"]}),
        lambda f: _edit_json(f, lambda d: d | {"ngrams": [d["ngrams"][0] | {"bits": 60}]}),
        lambda f: _edit_json(f, lambda d: d | {"surprise": 1}),
    ],
)
def test_damage_is_named(scorer, tmp_path, damage):
    scorer.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(CorruptArtefact, match=str(tmp_path)):
        LinearScorer.load(tmp_path)


def test_no_weight_may_leave_half_precision(scorer):
    weights = scorer.weights.copy()
    weights[0, 0] = 1e6
    with pytest.raises(ScorerError, match="no finite"):
        dataclasses.replace(scorer, weights=weights)
