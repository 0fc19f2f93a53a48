"""Key scaling as an edit (its algebra is in tests/invariants/test_subtraction.py)."""

from __future__ import annotations

import pytest
import torch

from bezoar.attack import ScaleKeys
from bezoar.edits import export, load_edit, self_test
from bezoar.errors import ConfigError, EditError
from bezoar.mitigate import methods
from tests.edits.kit import PROMPTS, logits
from tests.mitigate.kit import inputs

NEURONS = ((0, 1), (1, 5), (1, 9))


def attack(lm, **options):
    return ScaleKeys(NEURONS, which="gate" if lm.gated else None, **options)


def test_the_named_keys_and_no_others_are_scaled(lm):
    name = "gates" if lm.gated else "keys"
    before = [getattr(lm, name)(layer).clone() for layer in range(lm.n_layers)]
    other = [lm.values(layer).clone() for layer in range(lm.n_layers)]
    with attack(lm).edit(lm).applied_to(lm):
        for layer in range(lm.n_layers):
            expected = before[layer].clone()
            expected[[i for at, i in NEURONS if at == layer]] *= 10
            torch.testing.assert_close(getattr(lm, name)(layer), expected)
            assert torch.equal(lm.values(layer), other[layer])


def test_a_gated_mlp_must_be_told_which_of_its_two_keys(lm):
    with pytest.raises(ConfigError, match="gated"):
        ScaleKeys(NEURONS, which=None if lm.gated else "up").edit(lm)


@pytest.mark.usefixtures("_unhooked")
def test_what_scales_nothing_or_beyond_all_numbers_is_refused():
    with pytest.raises(ConfigError, match=r"which='foo'.*'gate'"):
        ScaleKeys(NEURONS, which="foo")
    for factor in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="finite factor"):
            ScaleKeys(NEURONS, factor)
    with pytest.raises(ConfigError, match="no neuron"):
        ScaleKeys(())


def test_neurons_that_are_not_there_are_refused(lm):
    for neuron in ((9, 0), (0, 10_000), (-1, 0)):
        with pytest.raises(EditError, match="no neuron"):
            ScaleKeys((neuron,), which="up" if lm.gated else None).edit(lm)


def test_an_attack_is_an_edit_like_any_other(lm, tmp_path):
    edit = attack(lm).edit(lm)
    assert self_test(edit, lm, PROMPTS).logit_change > 0
    edit.save(tmp_path / "edit", lm)
    with edit.applied_to(lm):
        attacked = logits(lm)
    with load_edit(tmp_path / "edit", lm).applied_to(lm):
        assert torch.equal(logits(lm), attacked)
    assert export(lm, edit, tmp_path / "model").max_difference <= 1e-5


def test_a_ranking_names_the_neurons(lm):
    top = inputs(lm).values.entries[:7]
    neurons = tuple((entry.layer, entry.index) for entry in top)
    edit = ScaleKeys(neurons, which="up" if lm.gated else None).edit(lm)
    assert edit.provenance["neurons"] == [list(neuron) for neuron in neurons]


def test_it_is_no_method_of_mitigation():
    assert not any("scale" in name for name in methods())
