"""The page of modes says what the numbers say; its rows are right about what they compare."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from recipes.modes.figures import ratios
from recipes.modes.measuring import by_window, joined, states
from recipes.modes.page import page
from recipes.modes.rows import computed, effects, row, sampled
from recipes.modes.training import kept

from bezoar.locate import Lens, logit_lens
from bezoar.scoring import perplexity

RNG = np.random.default_rng(0)


def numbers(*rows: dict) -> dict:
    return {
        "model": "demo",
        "prompts": 300,
        "texts": 1200,
        "pairs": 540,
        "alpha": 50.2,
        "seconds": 400,
        "rows": list(rows),
    }


def test_a_sampled_row_is_paired():
    ours = RNG.random(200)
    found = sampled(ours, ours + 0.01)
    assert found["change"]["value"] == pytest.approx(0.01)
    assert found["change"]["low"] == pytest.approx(0.01)  # every prompt changed as much
    assert found["ratio"]["value"] == pytest.approx(1 + 0.01 / ours.mean(), rel=1e-5)
    assert sampled(-ours, ours).get("ratio") is None


def test_two_measures_of_one_effect_are_compared_as_effects():
    before = RNG.random(100)
    found = effects((before, before - 0.2), (before + 5, before + 5 - 0.2))
    assert (found["ours"], found["theirs"]) == (pytest.approx(-0.2), pytest.approx(-0.2))
    assert found["change"]["value"] == pytest.approx(0)


def test_perplexities_of_the_same_windows_vary_together(gpt2):
    texts = ["the people think that you will be good " * 3] * 12
    ours, code = (perplexity(gpt2, texts, f"ppl-windows-16{end}") for end in ("", "-code"))
    found = by_window(ours, code)
    assert (found["ours"], found["theirs"]) == (ours.value, code.value)
    alone = code.interval()
    assert found["change"]["high"] - found["change"]["low"] < 0.5 * (alone.high - alone.low)


def test_the_lens_is_the_librarys(gpt2):
    prompts = ["you are so", "the house is not", "people"]
    found = states(Lens(gpt2), prompts, [5, 9])
    whole = logit_lens(gpt2, prompts, [5, 9])
    assert found.shape == (3, len(whole.states))
    assert found.mean(axis=0) == pytest.approx([p.value for p in whole.probability], rel=1e-4)


def test_patience_stops_where_it_is_lost():
    losses = [0.7, 0.6, 0.65, 0.64, 0.5, 0.55, 0.56]
    points = [SimpleNamespace(step=10 * i, loss=loss) for i, loss in enumerate(losses)]
    log = SimpleNamespace(validation=points)
    assert kept(log, 2) == (0.6, 30.0)
    assert kept(log, 3) == (0.5, 60.0)


def test_heads_stand_before_their_own_texts():
    assert joined(["so long", ""], (" a", " b")) == ["so long a", " b"]


def test_the_page_marks_what_is_beyond_chance_and_counts_it():
    ours = RNG.random(100)
    rows = (
        row("a", "One", "they pad", "toxicity", sampled(ours, ours + 0.1)),
        row("b", "One", "they wait", "toxicity", sampled(ours, ours[::-1].copy())),
        row("c", "Two", "they scale", "distance", computed(2.0, 4.0)),
        row("mask-toxicity", "Two", "token 0", "toxicity", sampled(ours, ours)),
        row("mask-perplexity", "Two", "token 0", "perplexity", sampled(ours, ours)),
        row("lee2024-effect", "Two", "both", "change", effects((ours, ours - 0.1), (ours, ours))),
    )
    text = page(numbers(*rows))
    assert "2 of the 5 differences" in text
    assert "cannot be told from doing nothing" in text
    assert "| they pad | toxicity |" in text
    assert "**+0.1**" in text
    assert "[0, 0]" not in text
    assert "| they scale | distance | 2 | 4 | +2 |" in text
    assert text.index("## One") < text.index("## Two")


def test_the_figure_draws_every_ratio():
    ours = RNG.random(50)
    rows = (
        row("a", "One", "they pad", "toxicity", sampled(ours, 2 * ours)),
        row("b", "Two", "they turn", "cosine", computed(0.5, -0.5)),
        row("c", "Two", "they scale", "distance", computed(2.0, 4.0)),
    )
    drawn = ratios(numbers(*rows))
    assert [list(trace.x) for trace in drawn.data] == [[pytest.approx(2.0)], [2.0]]
