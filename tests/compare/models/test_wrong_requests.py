"""What cannot be asked of a comparison is said before anything is read."""

from __future__ import annotations

import pytest

from bezoar.compare.models import (
    CompareInputs,
    activation_drop,
    compare_all,
    contributions,
    eliciting_prompts,
    head_contributions,
    interpolation,
    lens_comparison,
    qualitative,
    residual_shift,
    shift_sources,
    telling_prompts,
    values_kept,
)
from bezoar.edits import NoOp
from bezoar.errors import ConfigError, DataError
from bezoar.scoring import load_scorer
from tests.compare.models.kit import PROMPTS, direction, low_rank_edit

SAME = NoOp()
READS = {
    "lens": lambda lm, n: lens_comparison(lm, SAME, PROMPTS, 5, max_tokens=n),
    "eliciting": lambda lm, n: eliciting_prompts(lm, PROMPTS, 5, max_tokens=n),
    "telling": lambda lm, n: telling_prompts(lm, PROMPTS, 5, max_tokens=n),
    "heads": lambda lm, n: head_contributions(lm, SAME, PROMPTS, 5, max_tokens=n),
    "shift": lambda lm, n: residual_shift(lm, SAME, PROMPTS, 1, max_tokens=n),
    "sources": lambda lm, n: shift_sources(lm, SAME, PROMPTS, 1, max_tokens=n),
    "drop": lambda lm, n: activation_drop(lm, SAME, PROMPTS, [(0, 1)], max_prompt_tokens=n),
    "contributions": lambda lm, n: contributions(
        lm, SAME, PROMPTS, direction(lm), toxic=3, max_prompt_tokens=n
    ),
    "qualitative": lambda lm, n: qualitative(lm, {"x": SAME}, PROMPTS, max_prompt_tokens=n),
    "interpolation": lambda lm, n: interpolation(
        lm,
        low_rank_edit(lm, 1, 1),
        (load_scorer("words"), PROMPTS),
        [1.0],
        max_prompt_tokens=n,
    ),
}
DRAWS = {
    "drop": lambda lm, n: activation_drop(lm, SAME, PROMPTS, [(0, 1)], draws=n, new_tokens=2),
    "contributions": lambda lm, n: contributions(
        lm, SAME, PROMPTS, direction(lm), toxic=3, draws=n, new_tokens=2
    ),
    "values": lambda lm, n: values_kept(lm, SAME, direction(lm), top=4, draws=n),
    "sources": lambda lm, n: shift_sources(lm, SAME, PROMPTS, 1, resamples=n),
}


@pytest.mark.parametrize("tokens", [0, -1])
@pytest.mark.parametrize("read", READS)
def test_a_prompt_without_tokens(gpt2, read, tokens):
    with pytest.raises(ConfigError, match=f"cut to {tokens} tokens.*None keeps all"):
        READS[read](gpt2, tokens)


@pytest.mark.parametrize("drawn", DRAWS)
def test_fewer_draws_than_none(gpt2, drawn):
    with pytest.raises(ConfigError, match=r"(draws|resamples)=-1\. .*or for 0"):
        DRAWS[drawn](gpt2, -1)
    assert DRAWS[drawn](gpt2, 0) is not None


@pytest.mark.parametrize("choose", [eliciting_prompts, telling_prompts])
def test_prompts_to_choose_from_that_are_none(gpt2, choose):
    with pytest.raises(DataError, match="no prompt to read"):
        choose(gpt2, [], 5)


def test_a_part_that_there_is_not(gpt2, tmp_path):
    inputs = CompareInputs(PROMPTS, direction(gpt2))
    with pytest.raises(ConfigError, match=r"no part 'lense'.*'lens'"):
        compare_all(gpt2, SAME, inputs, tmp_path, parts=["drift", "lense"])
    with pytest.raises(ConfigError, match=r"no part 'foo'.*Valid:.*drift"):
        compare_all(gpt2, SAME, inputs, tmp_path, parts=["foo"])
    with pytest.raises(DataError, match=r"\['lens'\]"):
        compare_all(gpt2, SAME, inputs, tmp_path, parts="lens")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_unhooked")
@pytest.mark.parametrize("t", [0.5, "0.5", ["half"], None])
def test_a_number_where_several_are_meant(gpt2, t):
    with pytest.raises(ConfigError, match=r"t_values=.*in a list, such as \[0\.5\]"):
        interpolation(gpt2, low_rank_edit(gpt2, 1, 1), lambda lm: 1.0, t)
