"""Which words tell a class: those of it alone, however they are written."""

from __future__ import annotations

import numpy as np

from bezoar.corpus import Corpus
from bezoar.locate import Lexicon
from bezoar.locate.vocabulary import TokenScore
from bezoar.models import LanguageModel
from bezoar.studies.audit.locate import telling_tokens

VOCAB = ["<s>", " the", " THE", " fool", " Fool", " you", "fool", " good"]


class Words(LanguageModel):
    """A model whose tokens are whole words."""

    d_vocab = len(VOCAB)

    def __init__(self):
        """Nothing but its tokens is looked at."""

    def token_strings(self, ids):
        return [VOCAB[i] for i in ids]

    def encode(self, texts):
        return [[VOCAB.index(f" {word}") for word in text.split()] for text in texts]


def lexicon(*ids):
    return Lexicon(tuple(TokenScore(i, VOCAB[i], 1.0) for i in ids), "words", 8)


def corpus():
    toxic = ["THE fool", "THE Fool", "you fool", "THE fool you"]
    return Corpus(
        (*toxic, "the good", "the you", "good the", "you the"), np.array([1] * 4 + [0] * 4)
    )


def test_a_common_word_that_is_shouted_is_not_told_by_its_capitals():
    every = range(1, len(VOCAB))
    found = telling_tokens(Words(), lexicon(*every), corpus())
    assert [VOCAB[i] for i in found] == [" fool", " Fool"]


def test_the_strongest_tokens_stand_in_where_no_word_is_telling():
    assert telling_tokens(Words(), lexicon(2, 5), corpus()) == [2, 5]
