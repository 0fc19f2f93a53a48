"""DPO behind the registry: trained once, scaled to any strength, with a null that could win."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.edits import NoOp
from bezoar.errors import ConfigError
from bezoar.mitigate import DPO, FitInputs, dpo, fit_to_budget, null_inputs, parse_method
from bezoar.mitigate.dpo import scaled
from bezoar.mitigate.preference import Recipe
from tests.mitigate.kit import inputs
from tests.mitigate.preferences import pairs, recipe, state_of


@pytest.fixture
def quick(monkeypatch):
    """The small recipe, made smaller; what was trained is counted."""
    monkeypatch.setitem(dpo.__dict__, "_LAST", type(dpo._LAST)())
    monkeypatch.setattr(dpo, "get_recipe", lambda name, **changes: recipe(**changes))
    calls: list[Recipe] = []
    original = dpo.train

    def counted(lm, data, settings, **options):
        calls.append(settings)
        return original(lm, data, settings, **options)

    monkeypatch.setattr(dpo, "train", counted)
    return calls


def test_strength_goes_from_the_base_to_the_trained_weights(gpt2, quick):
    given = FitInputs(pairs=pairs())
    base = state_of(gpt2)
    states = {}
    for t in (0.0, 0.5, 1.0, 2.0):
        with DPO(t=t).fit(gpt2, given).applied_to(gpt2):
            states[t] = state_of(gpt2)
            assert gpt2.model.lm_head.weight is gpt2.model.transformer.wte.weight
    assert len(quick) == 1
    for name, value in base.items():
        delta = states[1.0][name] - value
        for t, state in states.items():
            torch.testing.assert_close(state[name], value + t * delta, rtol=1e-5, atol=1e-6)
        assert torch.equal(states[0.0][name], value)
    assert (states[1.0]["lm_head.weight"] != base["lm_head.weight"]).any()


def test_a_search_for_a_strength_trains_once(gpt2, quick):
    batch = gpt2.batch(gpt2.encode(["you are a fool", "the river"]))
    plain = gpt2.logits(batch)

    def cost(edit):
        with edit.applied_to(gpt2):
            return float((gpt2.logits(batch) - plain).abs().max())

    fitted = fit_to_budget(gpt2, DPO(), FitInputs(pairs=pairs()), cost, 0.5)
    assert 0 < fitted.strength <= 2
    assert fitted.trace.points[0].strength != fitted.strength
    assert len(quick) == 1


def test_an_added_layer_is_scaled_in_what_it_writes(gpt2, quick):
    method = DPO(trainable="layer:4")
    batch = gpt2.batch(gpt2.encode(["you are a fool"]))
    site = gpt2.site("-1.resid_post")

    def shift(t):
        with method.with_strength(t).fit(gpt2, FitInputs(pairs=pairs())).applied_to(gpt2):
            return gpt2.capture(batch, [gpt2.site("unembed_in")]), gpt2.logits(batch)

    plain = gpt2.logits(batch)
    assert torch.equal(shift(0.0)[1], plain)
    assert not torch.equal(shift(1.0)[1], plain)
    one, two = (method.with_strength(t).fit(gpt2, FitInputs(pairs=pairs())) for t in (1.0, 2.0))
    assert one.site == site
    torch.testing.assert_close(two.layer.up, 2 * one.layer.up)
    assert torch.equal(two.layer.down, one.layer.down)


def test_it_says_what_it_needs(gpt2, quick):
    assert DPO().requires == {"pairs"}
    assert parse_method("dpo:trainable=values:4").requires == {"pairs", "values"}
    with pytest.raises(ConfigError, match="needs 'pairs'"):
        DPO().fit(gpt2, inputs(gpt2))
    given = dataclasses.replace(inputs(gpt2), pairs=pairs())
    edit = parse_method("dpo:trainable=values:4").fit(gpt2, given)
    assert edit.provenance["method"] == "dpo:trainable=values:4"
    assert edit.provenance["training"]["recipe"]["objective"] == "dpo"


def test_the_recipe_goes_by_the_size_of_the_model(gpt2, monkeypatch):
    assert DPO().recipe_for(gpt2).lr == 1e-5
    monkeypatch.setattr(dpo, "SMALL", 1000)
    lee = DPO(mode="code", seed=3).recipe_for(gpt2)
    assert (lee.lr, lee.optimiser, lee.patience_used, lee.seed) == (1e-6, "rmsprop", 30, 3)
    assert DPO("small").recipe_for(gpt2).lr == 1e-5


def test_a_number_of_steps_leaves_nothing_to_validation(gpt2):
    method = parse_method("dpo:steps=7,beta=1")
    recipe = method.recipe_for(gpt2)
    assert (recipe.steps, recipe.keep, recipe.enough) == (7, "last", 0.0)
    assert method.label == "dpo, β 1, 7 steps"
    with pytest.raises(ConfigError, match="steps=0"):
        parse_method("dpo:steps=0")


def test_a_null_exchanges_half_of_the_pairs_and_is_trained_to_the_end(gpt2, quick):
    given = FitInputs(pairs=pairs(40))
    drawn = [d.pairs for d in null_inputs("shuffled-pairs", gpt2, given, 3, seed=0)]
    for null in drawn:
        assert null.prompts == given.pairs.prompts
        exchanged = 0
        for i in range(40):
            real = (given.pairs.chosen[i], given.pairs.rejected[i])
            mine = (null.chosen[i], null.rejected[i])
            assert mine in (real, real[::-1])
            exchanged += mine != real
        assert exchanged == 20
    assert len({null.chosen for null in drawn}) == 3
    again = next(null_inputs("shuffled-pairs", gpt2, given, 1, seed=0)).pairs
    assert again.chosen == drawn[0].chosen
    (edit,) = DPO().nulls(gpt2, given, 1, seed=0)
    assert quick[-1].keep == "last"
    assert edit.deltas
    DPO().fit(gpt2, given)
    assert quick[-1].keep == "best"


def test_only_differences_of_weights_are_scaled():
    with pytest.raises(ConfigError, match="no-op edit has no difference"):
        scaled(NoOp(), 0.5)
