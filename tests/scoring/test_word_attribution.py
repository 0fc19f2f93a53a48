"""Which words carry the toxicity: shares that add up, gradients that are derivatives."""

from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np
import pytest
import torch

from bezoar.errors import DataError
from bezoar.scoring import HuggingFaceScorer, WordListScorer, attribute, load_scorer
from bezoar.scoring.attribution import without, word_spans
from bezoar.scoring.gradients import NoGradients, token_gradients
from bezoar.scoring.scorer import CachedScorer
from tests.scoring.test_huggingface import save

INSULT = "You are a stupid fool, and so is he."


class ByWeight:
    """The logit is the sum of known weights of the words, so that every share is known."""

    name = hash = "by weight"
    attributes = ("toxicity",)
    threshold = 0.5
    lineage = ""
    weights = MappingProxyType({"fool": 3.0, "stupid": 2.0, "kind": -1.5})

    def score(self, texts):
        logits = [
            sum(self.weights.get(word.strip(",."), 0.0) for word in text.split()) for text in texts
        ]
        return {"toxicity": 1 / (1 + np.exp(-np.array(logits, dtype=float)))}


def shares(scorer, text: str, method: str = "occlusion") -> dict[str, float]:
    found = attribute(scorer, [text], method=method).texts[0]
    return {text[w.start : w.end]: w.share for w in found.words}


def test_words_are_spans_of_characters():
    text = "Well, f*ck it: “don’t” — @you 中文 é!!"
    words = [text[start:end] for start, end in word_spans(text)]
    assert words == [
        "Well", ",", "f*ck", "it", ":", "“", "don’t", "”", "—", "@", "you", "中", "文", "é", "!!",
    ]  # fmt: skip


def test_leaving_a_word_out_leaves_one_blank():
    assert without("you stupid fool", 4, 10) == "you fool"
    assert without("stupid fool", 0, 6) == "fool"
    assert without("you fool", 4, 8) == "you "
    assert without("ab", 0, 1) == "b"


def test_a_words_share_is_what_its_absence_takes_from_the_logit():
    found = shares(ByWeight(), "you stupid fool, so kind")
    expected = {"you": 0, "stupid": 2, "fool": 3, ",": 0, "so": 0, "kind": -1.5}
    assert found == pytest.approx(expected, abs=1e-9)
    text = attribute(ByWeight(), ["you stupid fool, so kind"]).texts[0]
    assert [w.start for w in text.top(3)] == [11, 4]  # what carries nothing is no top
    assert [w.start for w in text.top(2, above=2.5)] == [11]


def test_texts_do_not_see_each_other():
    texts = ["stupid", "", "a kind fool", "   ", "fool fool"]
    together = attribute(ByWeight(), texts)
    alone = [attribute(ByWeight(), [text]).texts[0] for text in texts]
    assert list(together.texts) == alone
    assert together.texts[1].words == ()


def test_a_score_of_one_still_tells_its_words_apart():
    scorer = load_scorer("demo-b")
    text = f"{INSULT} You stupid, disgusting idiot."
    assert scorer.score([text])["toxicity"][0] > 0.99
    assert attribute(scorer, [text]).texts[0].top()[0].share > 0.1


@pytest.mark.parametrize("text", [INSULT, "İstanbul, you FOOL!", "fool", "the weather is fine"])
def test_what_a_convolutions_tokens_carry_makes_up_its_logit(text):
    """Logit = bias + Σ_f O_f c_f over the filters that are on + the shares."""
    scorer = load_scorer("demo-b")
    row = scorer.attributes.index("toxicity")
    tokens = token_gradients(scorer, [text])[0]
    on = scorer._pooled([text])[0] > 0
    constant = float(scorer.bias[row] + (scorer.output[row] * scorer.kernel_bias)[on].sum())
    total = constant + sum(share for *_, share in tokens)
    assert total == pytest.approx(float(scorer.logits([text])[0, row]), abs=1e-4)
    for start, end, _ in tokens:
        assert 0 <= start < end <= len(text)
        assert not text[start:end].isspace()


def test_gradient_and_occlusion_find_the_same_insult():
    scorer = load_scorer("demo-b")
    tops = set()
    for method in ("occlusion", "gradient"):
        found = shares(scorer, INSULT, method)
        tops.add(max(found, key=lambda word: found[word]))
    assert len(tops) == 1
    assert tops <= {"stupid", "fool"}


def test_saliency_has_no_sign():
    assert min(shares(load_scorer("demo-b"), INSULT, "saliency").values()) >= 0


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("problem", [None, "multi_label_classification"])
def test_a_classifiers_share_is_the_derivative_by_its_word_embedding(tmp_path, kind, problem):
    """d logit / d ε where the embedding of one token's id is scaled by 1 + ε (a word that is there
    once): the real embedding, not the output of the block of embeddings fed in again."""
    scorer = HuggingFaceScorer(save(tmp_path, kind, ["neutral", "toxic", "so"], problem))
    text = " you are stupid"
    tokens = token_gradients(scorer, [text, "a much longer text of many other words"])[0]
    ids = scorer._tokenizer(text)["input_ids"]
    table = scorer._model.get_input_embeddings().weight
    whole = table.detach().clone()
    for token, (start, end, share) in zip(ids, tokens, strict=True):
        moved = []
        for step in (1e-2, -1e-2):
            with torch.no_grad():
                table[token] = whole[token] * (1 + step)
            p = scorer.score([text])["toxicity"][0]
            moved.append(math.log(p) - math.log1p(-p))
            with torch.no_grad():
                table.copy_(whole)
        assert share == pytest.approx((moved[0] - moved[1]) / 2e-2, abs=2e-3), text[start:end]
    assert all(p.grad is None for p in scorer._model.parameters())


def test_padding_changes_no_share(tmp_path):
    scorer = HuggingFaceScorer(save(tmp_path, "bert", ["neutral", "toxic"]))
    short, long = "you fool", "the man and the woman said that this is a good house"
    alone = token_gradients(scorer, [short])[0]
    padded = token_gradients(scorer, [long, short])[1]
    assert [t[:2] for t in alone] == [t[:2] for t in padded]
    assert [t[2] for t in alone] == pytest.approx([t[2] for t in padded], abs=1e-5)


@pytest.mark.parametrize("scorer", ["demo-a", "words"])
def test_without_gradients_words_are_left_out_and_it_is_said(scorer):
    asked = load_scorer(scorer)
    with pytest.raises(NoGradients):
        token_gradients(asked, [INSULT])
    found = attribute(asked, [INSULT], method="gradient")
    assert found.method == "occlusion"
    assert asked.name in found.note
    assert found.texts == attribute(asked, [INSULT]).texts


def test_a_tokenizer_without_offsets_falls_back_and_says_so(tmp_path):
    scorer = HuggingFaceScorer(save(tmp_path, "bert", ["neutral", "toxic"]))
    fast = scorer._tokenizer

    class Slow:
        is_fast = False

        def __call__(self, *args, **kwargs):
            return fast(*args, **kwargs)

    scorer._tokenizer = Slow()
    found = attribute(scorer, [INSULT], method="gradient")
    assert (found.method, "offsets" in found.note) == ("occlusion", True)


def test_a_cache_hides_no_gradients():
    text = attribute(CachedScorer(load_scorer("demo-b")), [INSULT], method="gradient")
    assert text.method == "gradient"


def test_one_string_is_refused():
    with pytest.raises(DataError, match="one string"):
        attribute(WordListScorer(), "fool")
