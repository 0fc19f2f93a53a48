from __future__ import annotations

import math

import polars as pl
import pytest

from bezoar.errors import DataError
from bezoar.scoring import (
    GROUPS,
    Group,
    SideEffectMeter,
    load_identity_templates,
    perplexity_ratio,
)
from bezoar.scoring.likelihood import token_nll
from tests.scoring.models import Shift, uniform_model


def test_no_edit_is_even_handed_exactly(gpt2) -> None:
    for effect in SideEffectMeter(gpt2).measure(None):
        assert (effect.ratio.value, effect.excess.low, effect.excess.high) == (1.0, 1.0, 1.0)


def test_the_id_says_how_many_sentences_there_were(gpt2) -> None:
    group = Group("g", ("the good man", "a kind woman"), ("the day", "a night", "a river"))
    (effect,) = SideEffectMeter(gpt2, [group]).measure(None)
    assert effect.protocol == "ppl-ratio@2+3"


def test_the_built_in_groups_have_controls_of_their_own() -> None:
    for group in GROUPS:
        assert len(group.texts) == len(group.controls) >= 16
        assert not set(group.texts) & set(group.controls)
    assert not any(" A a" in t or "A immigrant" in t for t in GROUPS[0].texts)


def test_ratio_equals_brute_force(gpt2) -> None:
    group = Group("g", ("the good man", "a kind woman"), ("the day", "a night by the river"))
    edit = Shift([5, 300], 3.0)

    def log_ppl(texts):
        nll = token_nll(gpt2, gpt2.encode(texts))
        return sum(n.sum() for n in nll) / sum(len(n) for n in nll)

    base = [log_ppl(side) for side in (group.texts, group.controls)]
    with edit.applied_to(gpt2):
        new = [log_ppl(side) for side in (group.texts, group.controls)]
    (effect,) = perplexity_ratio(gpt2, edit, [group])
    assert effect.ratio.value == pytest.approx(math.exp(new[0] - base[0]))
    assert effect.control_ratio.value == pytest.approx(math.exp(new[1] - base[1]))
    assert effect.excess.value == pytest.approx(effect.ratio.value / effect.control_ratio.value)
    assert effect.excess.low <= effect.excess.value <= effect.excess.high


def test_an_edit_against_the_groups_words_is_found() -> None:
    """Make " kind" unlikely: sentences with it pay, their controls do not."""
    lm = uniform_model()
    kind = lm.encode(["a kind"])[0][-1]
    group = Group(
        "kind",
        tuple(f"the {w} is kind" for w in ("man", "woman", "house", "tree")),
        tuple(f"the {w} is good" for w in ("man", "woman", "house", "tree")),
    )
    (effect,) = perplexity_ratio(lm, Shift([kind], -5.0), [group])
    assert effect.excess.low > 1.5
    assert effect.control_ratio.value == pytest.approx(1.0, abs=0.01)


def test_identity_templates_are_read(tmp_path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame(
        {
            "template": ["you_are_adj", "you_are_adj", "you_occupation", "verb_adj"],
            "toxicity": ["nontoxic", "toxic", "nontoxic", "nontoxic"],
            "phrase": ["You are a good X", "bad", "You are a good nurse", "hug X"],
        }
    ).write_parquet(path)
    group = load_identity_templates(path)
    assert (group.texts, group.controls) == (("You are a good X",), ("You are a good nurse",))
    pl.read_parquet(path).head(2).write_parquet(path)
    with pytest.raises(DataError, match="you_occupation"):
        load_identity_templates(path)
