"""Which tokens a ban holds back."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from bezoar.errors import ConfigError
from bezoar.mitigate import FitInputs, WordBan
from bezoar.mitigate.word_ban import word_sequences
from bezoar.models import Decoding, generate
from tests.mitigate.kit import inputs


def texts(lm, sequences):
    return {lm.tokenizer.decode(list(row)) for row in sequences}


def test_one_token_words_are_held_back_in_every_case_and_with_or_without_a_blank(gpt2):
    found = word_sequences(gpt2, ["fool", "A"])
    single = {gpt2.tokenizer.decode(list(row)) for row in found if len(row) == 1}
    assert single == {" fool", "a", "A", " a"}


def test_of_longer_words_only_the_last_token_is_held_back_and_only_there(gpt2):
    found = word_sequences(gpt2, ["fool"])
    several = [row for row in found if len(row) > 1]
    assert texts(gpt2, several) == {"fool", "Fool", "FOOL", " Fool", " FOOL"}
    # The first letter of a banned word stays free.
    letter = gpt2.tokenizer("F", add_special_tokens=False)["input_ids"]
    assert (tuple(letter)) not in found


def test_a_star_takes_extensions_along(gpt2):
    assert " stupid" not in texts(gpt2, word_sequences(gpt2, ["stup"]))
    assert " stupid" in texts(gpt2, word_sequences(gpt2, ["stup*"]))


def test_a_banned_word_is_never_written(gpt2):
    words = ("fool", "idiot", "stupid", "good", "the")
    decoding = Decoding(max_new_tokens=20, sample=True, samples=20)
    prompts = ["you are a", "the"]

    def written():
        rows = [t for p in generate(gpt2, prompts, decoding).texts() for t in p]
        return [w for w in words if any(w in f" {t.casefold()} ".split() for t in rows)]

    assert written()
    edit = WordBan().fit(gpt2, FitInputs(words=words))
    with edit.applied_to(gpt2):
        assert not written()


def test_strength_is_the_penalty_in_nats(lm):
    given = inputs(lm)
    assert WordBan().strength == math.inf
    edit = WordBan().with_strength(2.0).fit(lm, given)
    assert torch.equal(edit.bias, torch.full((len(edit.sequences),), -2.0))
    b = lm.batch([[1, 2, 3]])
    before = lm.logits(b)
    with edit.applied_to(lm):
        change = lm.logits(b) - before
    ids = [row[0] for row in edit.sequences if len(row) == 1]
    assert ids
    torch.testing.assert_close(
        change[..., ids], torch.full((1, 3, len(ids)), -2.0), atol=1e-5, rtol=0
    )
    with pytest.raises(ConfigError):
        WordBan(penalty=-1.0)


def test_words_are_needed(lm):
    with pytest.raises(ConfigError, match="'words'"):
        WordBan().fit(lm, dataclasses.replace(inputs(lm), words=()))
    with pytest.raises(ConfigError, match="blank"):
        WordBan().fit(lm, FitInputs(words=("fool", " ")))
