"""When training ends before its pairs do: enough was learnt, or as many steps as were asked for."""

from __future__ import annotations

import dataclasses

import pytest

from bezoar.errors import ConfigError
from bezoar.mitigate import DPO, FitInputs, null_inputs
from bezoar.mitigate.preference import LOW_ENOUGH, get_recipe, train
from bezoar.runs import save_result
from tests.families import tiny_model
from tests.mitigate.preferences import pairs, recipe


@pytest.fixture(scope="module")
def gpt2():
    return tiny_model("gpt2")


def test_training_ends_at_the_first_validation_that_is_low_enough(gpt2):
    asked = recipe(lr=1e-2, epochs=20, eval_every=4, batch_pairs=4, warmup=0)
    whole = train(gpt2, pairs(), asked).log
    losses = [point.loss for point in whole.validation]
    limit = losses[0] - 0.5 * (losses[0] - min(losses))
    found = train(gpt2, pairs(), dataclasses.replace(asked, enough=limit)).log
    first = next(point for point in whole.validation if point.loss <= limit)
    assert (found.stop_reason, found.validation[-1].step) == (LOW_ENOUGH, first.step)
    assert first.step < whole.validation[-1].step
    assert all(point.loss > limit for point in found.validation[:-1])


def test_no_more_steps_than_asked_for(gpt2):
    found = train(gpt2, pairs(), recipe(steps=3, epochs=20)).log
    assert len(found.steps) == 3


def test_a_null_trains_as_long_as_what_it_is_a_null_of(gpt2, tmp_path):
    method = DPO("small")
    (tmp_path / "dpo").mkdir()
    save_result(tmp_path / "dpo" / "log.json", train(gpt2, pairs(), recipe(steps=2, epochs=20)).log)
    inputs = FitInputs(pairs=pairs(), work=tmp_path / "dpo")
    (drawn,) = null_inputs("shuffled-pairs", gpt2, inputs, 1, 0)
    assert len(method.trained(gpt2, drawn).log.steps) == 2


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"enough": -1.0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ConfigError, match="too small"):
        get_recipe("small", **wrong)
