"""Large nouns at a prompt: one line, masked, without their tensors."""

from __future__ import annotations

import codecs

import numpy as np
import pytest
import torch

from bezoar.corpus import Corpus, Prompts
from bezoar.edits import ActivationEdit, Add, NoOp, WeightEdit
from bezoar.edits.delta import Dense
from bezoar.evaluate import Continuation, Measurement
from bezoar.locate import Direction, Subspace, TokenList, ValueEntry, ValueRanking
from bezoar.locate.vocabulary import TokenScore
from bezoar.mitigate import FitInputs
from bezoar.models import Site

WORD = codecs.decode("shpxre", "rot13")
SITE = Site(4, "resid_post")
WIDE = torch.ones(768) / 768**0.5
SCORE = TokenScore(7, f" {WORD}", 2.5)
ENTRIES = tuple(ValueEntry(i, i % 12, i, 0.5, 1.0) for i in range(128))
NOUNS = (
    Direction(WIDE, 3.25, SITE, name=f"probe {WORD}"),
    Subspace(torch.eye(768)[:3], (3.0, 2.0, 1.0), SITE),
    ActivationEdit.at([SITE] * 12, Add(WIDE), name="subtract probe"),
    WeightEdit({"h.0.mlp.c_proj.bias": Dense(WIDE)}, name=f"without {WORD}"),
    Add(WIDE),
    NoOp(),
    SCORE,
    TokenList("probe", (SCORE,) * 20, (SCORE,) * 20),
    ValueRanking(ENTRIES, "probe", "correct", 36_864, "af31"),
    Prompts((f"{WORD} you",) * 99, name="mine"),
    Corpus((f"{WORD} you",) * 99, np.ones(99, np.int64)),
    Measurement("base", "LEE@9", "a", {"toxicity": (0.5,) * 999}, texts=((WORD,),) * 999),
    Continuation(WORD, {"base": WORD}, {"base": 0.5}),
    FitInputs(rows=np.ones((500, 768), np.float32), words=(WORD,)),
)


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_a_large_noun_is_one_masked_line(noun: object) -> None:
    for shown in (repr(noun), str(noun)):
        assert shown.startswith(f"{type(noun).__name__}(")
        assert "\n" not in shown
        assert len(shown) < 250
        assert WORD not in shown
        assert "tensor(" not in shown


def test_it_says_what_a_reader_looks_for() -> None:
    direction = repr(NOUNS[0])
    assert "norm=3.25" in direction
    assert "site=4.resid_post" in direction
    assert "vector=[768]" in direction
    assert "name='subtract probe'" in repr(NOUNS[2])
    assert "<12>" in repr(NOUNS[2])
    assert f"token=' {WORD[0]}****{WORD[-1]}'" in repr(SCORE)
