"""The convolution scorer: it is its formula in any batch; damage and absurd shapes are named."""

from __future__ import annotations

import dataclasses
import json
import time
import zlib

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bezoar.corpus import load_corpus
from bezoar.errors import CorruptArtefact, ScorerError
from bezoar.scoring import load_scorer
from bezoar.scoring.convolution import ConvolutionScorer, Table, letter_grams, tokens
from bezoar.scoring.linear import LinearScorer

WIDTH, FILTERS, BUCKETS = 6, 9, 32
VOCABULARY = ("you", "fool", "kind", "house", "!")


@pytest.fixture(scope="module")
def scorer() -> ConvolutionScorer:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return ConvolutionScorer(
        vocabulary=VOCABULARY,
        words=Table.of(normal(len(VOCABULARY), WIDTH)),
        grams=Table.of(normal(BUCKETS, WIDTH)),
        kernel=normal(3 * WIDTH, FILTERS) / 3,
        kernel_bias=normal(FILTERS) / 3,
        output=normal(2, FILTERS) / 3,
        bias=normal(2),
        attributes=("toxicity", "insult"),
        name="toy",
        lineage="toy",
    )


def by_hand(scorer: ConvolutionScorer, text: str) -> np.ndarray:
    """The formula, one position and one row at a time."""
    found = [np.zeros(WIDTH)]
    for word in tokens(text):
        grams = [scorer.grams.numbers[g] * scorer.grams.scale[g] for g in grams_by_hand(word)]
        vector = np.mean(grams, axis=0) if grams else np.zeros(WIDTH)
        if word in VOCABULARY:
            row = VOCABULARY.index(word)
            vector = vector + scorer.words.numbers[row] * scorer.words.scale[row]
        found.append(vector)
    found.append(np.zeros(WIDTH))
    h = np.zeros(FILTERS)
    for t in range(1, len(found) - 1):
        seen = np.concatenate(found[t - 1 : t + 2]) @ scorer.kernel + scorer.kernel_bias
        h = np.maximum(h, seen)
    return scorer.output @ h + scorer.bias


def grams_by_hand(word: str) -> list[int]:
    framed = f"<{word[:24]}>"
    found = {n: [framed[i : i + n] for i in range(len(framed))] for n in (3, 4, 5)}
    whole = [g for n, grams in found.items() for g in grams if len(g) == n]
    return [zlib.crc32(g.encode("utf-8", "surrogatepass")) % BUCKETS for g in whole]


TEXTS = ["You fool!", "a kind house", "", "!", "house " * 40 + "FOOL", "é\ud800x", "f00l you?"]


def test_score_is_the_formula(scorer):
    expected = np.stack([by_hand(scorer, text) for text in TEXTS])
    assert np.abs(scorer.logits(TEXTS) - expected).max() < 1e-5
    assert scorer.score(TEXTS)["insult"] == pytest.approx(1 / (1 + np.exp(-expected[:, 1])))


def test_batches_blocks_and_order_do_not_change_a_score(scorer, monkeypatch):
    whole = scorer.logits(TEXTS)
    assert np.abs(scorer.logits(TEXTS[::-1])[::-1] - whole).max() < 1e-6
    monkeypatch.setattr("bezoar.scoring.convolution._POSITIONS", 3)
    assert np.abs(scorer.logits(TEXTS) - whole).max() < 1e-6
    monkeypatch.setattr("bezoar.scoring.convolution._BATCH", 2)
    assert np.abs(scorer.logits(TEXTS) - whole).max() < 1e-6


@pytest.mark.parametrize("name", ["demo-a", "demo-b"])
def test_a_score_is_the_same_number_whatever_is_scored_with_it(name):
    """Bit for bit: an audit that was interrupted scores what remains in other company."""
    scorer = load_scorer(name)
    texts = load_corpus("demo").texts[:400]
    whole = scorer.score(texts)["toxicity"]
    for size in (1, 7, 64):
        parts = [
            scorer.score(texts[start : start + size])["toxicity"]
            for start in range(0, len(texts), size)
        ]
        assert np.array_equal(np.concatenate(parts), whole)


def test_more_text_never_lowers_a_filter(scorer):
    """Max pooling: what is toxic in a text stays so, however much harmless text surrounds it."""
    alone = scorer._pooled(["x you fool! x"])
    among = scorer._pooled(["a kind house . x you fool! x . a house"])
    assert (among >= alone - 1e-6).all()


def test_tables_keep_vectors_to_half_a_step():
    vectors = np.random.default_rng(1).normal(size=(50, 8))
    vectors[3] = 0
    table = Table.of(vectors)
    error = np.abs(table.rows(np.arange(50)) - vectors)
    assert (error <= table.scale[:, None] * 0.5001).all()
    assert (table.rows(np.array([3])) == 0).all()


def test_unseen_spellings_lie_near_the_word(scorer):
    shared = set(letter_grams("fooool", 3, 5, 2**20)) & set(letter_grams("fool", 3, 5, 2**20))
    assert len(shared) >= 3
    assert not set(letter_grams("fool", 3, 5, 2**20)) & set(letter_grams("house", 3, 5, 2**20))


def test_strange_texts_get_a_score(scorer):
    texts = ["", "   ", "\0", "a" * 1_000_000, "word " * 100_000, "\u202efool", "é" * 50]
    for values in scorer.score(texts).values():
        assert values.shape == (len(texts),)
        assert ((values >= 0) & (values <= 1)).all()
    assert scorer.score([])["toxicity"].shape == (0,)


def test_what_is_saved_is_what_scores(scorer, tmp_path):
    scorer.save(tmp_path)
    again = load_scorer(tmp_path)
    assert isinstance(again, ConvolutionScorer)
    assert (again.logits(TEXTS) == scorer.logits(TEXTS)).all()
    assert again.hash == scorer.hash
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    again.save(tmp_path)
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(CorruptArtefact, match="not of the format"):
        LinearScorer.load(tmp_path)


def test_hash_follows_everything_that_can_change_a_verdict(scorer):
    others = [
        dataclasses.replace(scorer, kernel=scorer.kernel * 2),
        dataclasses.replace(scorer, bias=scorer.bias + 1),
        dataclasses.replace(scorer, words=Table.of(np.ones((5, WIDTH)))),
        dataclasses.replace(scorer, threshold=0.25),
        dataclasses.replace(scorer, lengths=(2, 5)),
        dataclasses.replace(scorer, vocabulary=VOCABULARY[::-1]),
        dataclasses.replace(scorer, attributes=("insult", "toxicity")),
    ]
    assert len({scorer.hash, *(other.hash for other in others)}) == 1 + len(others)
    assert dataclasses.replace(scorer, name="other").hash == scorer.hash


def test_calibration_keeps_the_order_and_the_mean(scorer):
    rng = np.random.default_rng(2)
    texts = [" ".join(rng.choice([*VOCABULARY, "xyz", "q"], size=6)) for _ in range(800)]
    logits = scorer.logits(texts)[:, 0]
    labels = (rng.random(800) < 1 / (1 + np.exp(-2 * logits + 1))).astype(float)
    fitted = scorer.calibrated(texts, {"toxicity": labels})
    assert fitted.score(texts)["toxicity"].mean() == pytest.approx(labels.mean(), abs=0.01)
    assert np.corrcoef(fitted.logits(texts)[:, 0], logits)[0, 1] > 0.9999
    assert (fitted.output[1] == scorer.output[1]).all()
    with pytest.raises(ScorerError, match="fall where the label is 1"):
        scorer.calibrated(texts, {"toxicity": 1 - labels})
    judge = scorer.at_false_alarms(texts, 0.05)
    share = (judge.score(texts)["toxicity"] >= judge.threshold).mean()
    assert 0.02 < share <= 0.05


def test_speed():
    """5,000 texts of 20 tokens a second are promised at this size; a busy machine gets room."""
    rng = np.random.default_rng(3)
    words = tuple(f"w{i}" for i in range(4000))
    big = ConvolutionScorer(
        vocabulary=words,
        words=Table.of(rng.normal(size=(4000, 64))),
        grams=Table.of(rng.normal(size=(8192, 64))),
        kernel=np.zeros((192, 128), np.float32),
        kernel_bias=np.zeros(128, np.float32),
        output=np.zeros((5, 128), np.float32),
        bias=np.zeros(5, np.float32),
        attributes=("toxicity", "b", "c", "d", "e"),
    )
    texts = [" ".join(rng.choice(words, size=20)) for _ in range(3000)]
    big.score(texts[:10])
    began = time.process_time()
    big.score(texts)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": VOCABULARY[:4]}, "do not fit 4 different words"),
        ({"vocabulary": ("you",) * 5}, "do not fit"),
        ({"bias": np.zeros(3, np.float32)}, "do not fit"),
        ({"kernel": np.zeros((17, FILTERS), np.float32)}, "do not fit"),
        ({"kernel": np.zeros((18, 5000), np.float32)}, "5,000 filters"),
        ({"output": np.full((2, FILTERS), np.nan, np.float32)}, "'output' that are not finite"),
        ({"attributes": ("insult", "threat")}, "needs the attribute 'toxicity'"),
        ({"threshold": 1.0}, "does not lie between"),
        ({"lengths": (0, 5)}, "lengths"),
        ({"lengths": (3, 50)}, "lengths"),
    ],
)
def test_impossible_scorers_are_refused(scorer, change, message):
    with pytest.raises(ScorerError, match=message):
        dataclasses.replace(scorer, **change)


def _edit_json(folder, change):
    path = folder / "scorer.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def _edit_tensors(folder, change):
    path = folder / "scorer.safetensors"
    save_file(change(load_file(path)), path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "scorer.safetensors").write_bytes(b"\0" * 20),
        lambda f: (f / "scorer.safetensors").unlink(),
        lambda f: _edit_json(f, lambda d: d | {"threshold": 0.9}),
        lambda f: _edit_json(f, lambda d: d | {"lengths": [3, 10**9]}),
        lambda f: _edit_json(f, lambda d: d | {"lengths": 3}),
        lambda f: _edit_json(f, lambda d: d | {"surprise": 1}),
        lambda f: _edit_tensors(f, lambda t: t | {"kernel": t["kernel"] + 1}),
        lambda f: _edit_tensors(f, lambda t: t | {"kernel": t["kernel"][0]}),
        lambda f: _edit_tensors(f, lambda t: t | {"words": t["words"].astype(np.float32)}),
        lambda f: _edit_tensors(f, lambda t: {k: v for k, v in t.items() if k != "grams"}),
        lambda f: _edit_tensors(f, lambda t: t | {"grams": np.zeros((0, WIDTH), np.int8)}),
        lambda f: _edit_tensors(f, lambda t: t | {"vocabulary": np.array([255], np.uint8)}),
    ],
)
def test_damage_is_named(scorer, tmp_path, damage):
    scorer.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(CorruptArtefact, match=str(tmp_path)):
        load_scorer(tmp_path)
