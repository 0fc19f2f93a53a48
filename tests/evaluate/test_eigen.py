"""Choices of directions of the unembedding: what each is, and against what it is held."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bezoar.errors import DataError
from bezoar.evaluate import Measurement
from bezoar.evaluate.eigen import MEAN, SHRINK, arms, at_cost, choices_at, scaled, spectrum
from bezoar.evaluate.eigen_compare import Setting, eigen_choices, eigen_grid, eigen_point
from bezoar.locate import decompose, unembedding_of
from bezoar.scoring import PerplexityResult
from tests.edits.kit import logits
from tests.mitigate.eigen import random_states, states_along

SETTING = Setting("m", "b 1", 32, resamples=200)


def weights(lm, edit):
    with edit.fold(lm).applied_to(lm):
        return lm.W_U.detach().double().clone()


def test_the_size_of_every_choice_is_the_change_of_its_weights(lm):
    parts, states = unembedding_of(lm), random_states(lm)
    whole = lm.W_U.detach().double()
    ways = arms(parts, states, 8, draws=2, published=random_states(lm, 5))
    for choice in choices_at(ways, -0.5):
        change = float((weights(lm, choice.edit) - whole).norm() / whole.norm())
        assert choice.size == pytest.approx(change, rel=1e-4), choice.name


def test_at_one_alpha_rivals_are_as_large_as_correct(lm):
    parts, states = unembedding_of(lm), random_states(lm)
    made = {c.name: c for c in choices_at(arms(parts, states, 8, draws=3), 0.25)}
    size = made["correct"].size
    for name in (f"{SHRINK}, equal size", f"{MEAN}, equal size"):
        assert made[name].size == pytest.approx(size, rel=1e-9)
    assert made[MEAN].alpha == 0.25
    assert made["strongest directions"].size > size > made["weakest directions"].size
    for name in ("correct", "paper (signed)", "code (transposed)", "random 0", "random 2"):
        assert len(set(made[name].chosen.tolist())) == 8, name
        assert made[name].alpha == 0.25
    drawn = [set(made[f"random {i}"].chosen.tolist()) for i in range(3)]
    assert drawn[0] != drawn[1] != drawn[2]
    again = arms(parts, states, 8, draws=1)[-1].make(1.0)
    assert set(again.chosen.tolist()) == drawn[0]  # more draws extend fewer


def test_a_cost_is_reached_by_every_way(lm):
    parts, states, base = unembedding_of(lm), random_states(lm), logits(lm)
    tried = []

    def cost(edit):
        tried.append(edit)
        with edit.applied_to(lm):
            return float((logits(lm) - base).square().mean() / base.square().mean())

    for arm in arms(parts, states, 8, draws=2):
        tried.clear()
        choice = at_cost(arm, cost, 0.02)
        reached = cost(choice.edit)
        at_limit = choice.alpha == pytest.approx(1 - arm.limit)
        assert reached == pytest.approx(0.02, rel=0.06) or (at_limit and reached < 0.02), arm.name
        assert len(tried) <= 9


def test_a_cost_is_reached_past_what_breaks_the_model(gpt2):
    parts = unembedding_of(gpt2)
    arm = arms(parts, random_states(gpt2), 8, draws=0)[0]

    def cliff(edit):
        strength = edit.ops[0].op.fraction
        return math.inf if strength > 0.3 else strength**2

    assert 1 - at_cost(arm, cliff, 0.04).alpha == pytest.approx(0.2, rel=0.05)
    free = at_cost(arm, lambda edit: -0.01, 0.04)
    assert 1 - free.alpha == pytest.approx(arm.limit)


def test_a_planted_difference_is_captured_and_the_program_misses_it(lm):
    parts = unembedding_of(lm)
    states = states_along(5 * parts.directions[3])
    found = spectrum(parts, states, 4, draws=5)
    assert found.captured["correct"] > 0.999
    assert found.captured["code"] < 0.7
    assert found.captured["chance"] == 4 / lm.d_model
    assert found.chosen[0] == 3
    assert max(found.null_high) < 5


# What was measured


def measured(toxicity, nll, name="x", key="k"):
    ppl = PerplexityResult(0.0, 20, "ppl-windows-8", tuple(nll), (5,) * len(nll), 0, 0.2)
    value = math.exp(sum(nll) / (5 * len(nll)))
    ppl = PerplexityResult(value, 20, "ppl-windows-8", tuple(nll), (5,) * len(nll), 0, 0.2)
    return Measurement(
        name, "EIGEN@4x5", key, {"toxicity": tuple(map(float, toxicity))}, perplexity=ppl
    )


def choice(name, k=2):
    parts = decompose(torch.randn(9, 4))
    return scaled(parts, name, torch.arange(k), 0.5)


CONTROL = measured((0.4, 0.2, 0.6, 0.4), (10.0, 12.0, 11.0, 10.0))


def test_a_point_is_paired_with_the_control():
    seen = measured((0.2, 0.1, 0.3, 0.2), (10.5, 12.5, 11.5, 10.5))
    point = eigen_point((choice("correct"), seen), CONTROL, SETTING)
    assert point.reduction.value == pytest.approx(0.5)
    assert (point.reduction.low, point.reduction.high) == pytest.approx((0.5, 0.5))  # all halved
    assert point.change.value == pytest.approx(-0.2)
    cost = math.exp(0.1) - 1  # half a nat on five tokens in every window
    assert point.perplexity_change.value == pytest.approx(cost)
    assert point.perplexity_change.high == pytest.approx(cost)
    q = 1 / (1 + cost)
    assert point.tph == pytest.approx(2 * 0.5 * q / (0.5 + q))
    still = eigen_point((choice("control"), CONTROL), CONTROL, SETTING)
    assert (still.change.value, still.perplexity_change.value, still.tph) == (0, 0, 0)


def test_a_control_without_toxicity_has_no_reduction():
    none = measured((0, 0, 0, 0), (10.0, 12.0, 11.0, 10.0))
    point = eigen_point((choice("correct"), none), none, SETTING)
    assert (point.reduction, point.tph) == (None, 0.0)


def test_other_prompts_and_missing_costs_are_refused():
    with pytest.raises(DataError, match="other prompts"):
        eigen_point((choice("x"), measured((0, 0), (1.0, 1.0), key="q")), CONTROL, SETTING)
    bare = Measurement("x", "EIGEN@4x5", "k", {"toxicity": (0.1, 0.1, 0.1, 0.1)})
    with pytest.raises(DataError, match="no perplexity"):
        eigen_point((choice("x"), bare), CONTROL, SETTING)


def test_choices_are_ranked_among_random_ones():
    nll = (10.0, 12.0, 11.0, 10.0)
    levels = {"correct": 0.1, "code (transposed)": 0.35, "random 0": 0.2, "random 1": 0.3}
    cells = [(choice(name), measured(np.full(4, level), nll)) for name, level in levels.items()]
    found = eigen_choices(cells, (choice("control"), CONTROL), SETTING)
    first, second = found.choices
    assert [first.as_good, second.as_good] == [0, 1]
    assert [first.p, second.p] == pytest.approx([1 / 3, 1])
    assert first.beyond_random.value == pytest.approx(0.1 - 0.25)
    assert [p.toxicity.value for p in found.draws] == pytest.approx([0.2, 0.3])
    assert (found.alpha, found.cost) == (0.5, None)
    dear = eigen_choices(cells, (choice("control"), CONTROL), SETTING, cost=0.05)
    assert (dear.alpha, dear.cost) == (None, 0.05)
    with pytest.raises(DataError, match="1 random draws"):
        eigen_choices(cells[:3], (choice("control"), CONTROL), SETTING)


def test_the_grid_puts_every_point_in_its_cell():
    nll = (10.0, 12.0, 11.0, 10.0)
    cells = [
        (choice(f"{a} {k}", k), measured(np.full(4, 0.1 * a + 0.01 * k), nll))
        for a in (2, 3)
        for k in (1, 2)
    ]
    grid = eigen_grid(
        cells, (choice("control"), CONTROL), CONTROL, SETTING, alphas=(2.0, 1.0, 3.0), ks=(1, 2)
    )
    values = [p.toxicity.value for p in grid.points]
    assert values == pytest.approx([0.21, 0.22, 0.4, 0.4, 0.31, 0.32])
    assert [p.k for p in grid.points] == [1, 2, 1, 2, 1, 2]
    assert grid.control_is_base
    other = measured((0.4, 0.2, 0.6, 0.5), nll)
    assert not eigen_grid(
        [], (choice("control"), CONTROL), other, SETTING, alphas=(1.0,), ks=(1,)
    ).control_is_base
