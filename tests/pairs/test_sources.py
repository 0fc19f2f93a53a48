"""Prompts from prose, and probes to steer by."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.activations import harvest
from bezoar.corpus import Corpus
from bezoar.errors import DataError
from bezoar.pairs import fit_attribute, fit_steering, sentence_prompts, unseen_prompts

PROSE = (
    "= Title of seven words or more here =",
    "The river rises in a shallow valley north of town. It is slow.  A LIGHTHOUSE was built on the "
    "headland in that year! Was it seen from eleven miles away or more?",
    "a lighthouse was built on the headland in another year.",
    "",
)


def test_prompts_are_beginnings_of_sentences_each_once():
    found = sentence_prompts(PROSE, words=6)
    assert set(found) == {
        "The river rises in a shallow",
        "A LIGHTHOUSE was built on the",
        "Was it seen from eleven miles",
    }


def test_a_draw_is_the_same_from_any_order_and_another_by_another_seed():
    prose = [f"The house number {n} of the old street was built long ago." for n in range(80)]
    few = sentence_prompts(prose, 10)
    assert len(few) == 10
    assert sentence_prompts(prose[::-1], 10) == few
    assert sentence_prompts(prose, 20)[:10] == few
    assert sentence_prompts(prose, 10, seed=1) != few


def test_prose_without_sentences_says_so():
    with pytest.raises(DataError, match="No sentence of 1 text has 12 words"):
        sentence_prompts(["Too short."])


def test_the_probes_are_those_of_the_training_texts(gpt2):
    texts = tuple(f"{word} tree {n}" for n in range(12) for word in ("fool", "good"))
    corpus = Corpus(texts, np.array([1, 0] * 12))
    probe = fit_steering(gpt2, corpus)
    middle = gpt2.site(f"{(gpt2.n_layers - 1) // 2}.resid_post")
    rows = harvest(gpt2, texts, [middle], pooling="mean", out=None).rows(middle)
    expected = rows[corpus.labels == 1].mean(0) - rows[corpus.labels == 0].mean(0)
    np.testing.assert_allclose(probe.direction().raw, expected, atol=1e-4)
    assert probe.direction().site == middle
    assert fit_steering(gpt2, corpus, layer=0).site == "0.resid_post"
    assert fit_attribute(gpt2, corpus).site == f"{gpt2.n_layers - 1}.resid_post"
    with pytest.raises(DataError, match="both labels are needed"):
        fit_steering(gpt2, Corpus(texts[:2], np.array([1, 1])))


def test_prompts_that_repeat_a_text_are_left_out_and_counted_under_the_first():
    prompts = [
        "the old lighthouse on the headland was seen from",
        "the old lighthouse on the headland was seen by",
        "a river rises in the shallow valley north of",
        "nobody has ever written down these eight words",
    ]
    page = "It rained. A RIVER rises, in the shallow valley north of town; then it is slow. " * 9
    left, seen = unseen_prompts(prompts, {"reported on": [prompts[0]], "learnt from": [page]})
    assert left == (prompts[3],)
    assert seen == {"reported on": 2, "learnt from": 1}
    assert unseen_prompts([], {"reported on": [page]}) == ((), {"reported on": 0})
