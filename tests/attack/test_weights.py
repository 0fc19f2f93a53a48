"""What attacks on weights do to weights."""

from __future__ import annotations

import pytest
import torch

from bezoar.attack import (
    Interpolation,
    KeyScaling,
    Pruning,
    Quantisation,
    WeightNoise,
    released,
)
from bezoar.attack.key_scaling import random_neurons
from bezoar.attack.matrices import block_matrices
from bezoar.attack.noise import noisy
from bezoar.attack.pruning import pruned
from bezoar.attack.quantisation import rounded
from bezoar.edits import NoOp, self_test, stores_transposed
from bezoar.errors import AttackFailed, ConfigError, EditError, NotFoldable
from bezoar.mitigate import Subtract
from bezoar.models import out_in_weight
from tests.attack.kit import same, state, weight_remedy
from tests.edits.kit import PROMPTS, logits, noise
from tests.mitigate.kit import inputs


def attacks(lm):
    which = "gate" if lm.gated else None
    return (
        Pruning((0.5,)),
        Quantisation((4,)),
        WeightNoise((0.1,), directions=1),
        Interpolation((0.5,)),
        KeyScaling(((0, 1), (1, 5)), (10.0,), (2,), which=which, null_draws=0),
    )


def attacked(lm, remedy, attack, index=0):
    setting = attack.settings(lm)[index]
    return attack.compose(remedy, attack.edit(lm, remedy, setting))


def test_the_model_is_restored_bit_for_bit_also_after_an_exception(lm):
    before, remedy = state(lm), weight_remedy(lm)
    for attack in attacks(lm):
        edit = attacked(lm, remedy, attack)
        assert same(state(lm), before), attack.name
        with pytest.raises(RuntimeError, match="stop"), edit.applied_to(lm):
            assert not same(state(lm), before), attack.name
            raise RuntimeError("stop")
        assert same(state(lm), before), attack.name


def test_an_attack_is_an_edit_that_acts(lm):
    for attack in attacks(lm):
        edit = attack.edit(lm, weight_remedy(lm), attack.settings(lm)[0])
        assert self_test(edit, lm, PROMPTS).logit_change > 0


def test_interpolation_begins_at_the_edited_model_and_ends_at_the_base_exactly(lm):
    base, remedy = state(lm), weight_remedy(lm)
    with remedy.applied_to(lm):
        edited = state(lm)
    walk = Interpolation((0.0, 0.5, 1.0))
    with attacked(lm, remedy, walk, 0).applied_to(lm):
        assert same(state(lm), edited)
    with attacked(lm, remedy, walk, 2).applied_to(lm):
        assert same(state(lm), base)
    with attacked(lm, remedy, walk, 1).applied_to(lm):
        for name, half in state(lm).items():
            torch.testing.assert_close(half, (base[name] + edited[name]) / 2)


def test_interpolation_needs_weights(lm):
    remedy = Subtract("probe", 2.0, layers=(0,), positions="last").fit(
        lm, inputs(lm, lm.site("0.resid_post"))
    )
    with pytest.raises(NotFoldable):
        Interpolation().against(lm, remedy)


def test_a_remedy_that_folds_is_attacked_as_weights(gpt2):
    hooked = Subtract("probe", 2.0).fit(gpt2, inputs(gpt2))
    assert hooked.kind == "activation"
    assert released(gpt2, hooked).kind == "weight"
    with hooked.applied_to(gpt2):
        expected = logits(gpt2)
    with released(gpt2, hooked).applied_to(gpt2):
        torch.testing.assert_close(logits(gpt2), expected, atol=1e-4, rtol=1e-4)


def test_matrices_are_those_inside_blocks_and_nothing_else(lm):
    names = set(block_matrices(lm))
    found = {n for n, p in lm.model.named_parameters() if p.ndim == 2}
    embeddings = {n for n in found if "wte" in n or "wpe" in n or "embed" in n or "lm_head" in n}
    assert names == found - embeddings


def test_pruning_removes_exactly_the_smallest_share_and_is_idempotent():
    weight = noise(7, 9, seed=3)
    for share in (0.0, 0.1, 0.5, 0.9):
        new = pruned(weight, share)
        gone = new == 0
        assert int(gone.sum()) == round(share * 63)
        if gone.any():
            assert weight[gone].abs().max() <= weight[~gone].abs().min()
        assert torch.equal(new[~gone], weight[~gone])
        assert torch.equal(pruned(new, share), new)


def test_pruning_counts_ties_once():
    assert int((pruned(torch.ones(4, 5), 0.3) == 0).sum()) == 6


def test_pruning_is_of_the_edited_weights(lm):
    remedy = weight_remedy(lm, scale=1.0)
    with remedy.applied_to(lm):
        edited = state(lm)
    with attacked(lm, remedy, Pruning((0.5,))).applied_to(lm):
        now = state(lm)
    for name in block_matrices(lm):
        kept = now[name] != 0
        assert int((~kept).sum()) == round(0.5 * now[name].numel())
        assert torch.equal(now[name][kept], edited[name][kept])


def test_rounding_errs_by_half_a_step_at_most_and_keeps_the_largest():
    weight = noise(6, 130, seed=4)
    for bits, group in ((8, None), (4, 64), (2, 64)):
        most = 2 ** (bits - 1) - 1
        new = rounded(weight, bits, group)
        size = group or 130
        for start in range(0, 130, size):
            old, got = weight[:, start : start + size], new[:, start : start + size]
            step = old.abs().amax(-1, keepdim=True) / most
            assert bool(((old - got).abs() <= step / 2 * (1 + 1e-5)).all())
            levels = got / step
            assert float((levels - levels.round()).abs().max()) < 1e-3
            assert float(levels.abs().max()) == pytest.approx(most)


def test_rounding_is_per_output_channel_whatever_the_storage(lm):
    remedy = NoOp()
    with attacked(lm, remedy, Quantisation((8,))).applied_to(lm):
        after = {n: out_in_weight(m).clone() for n, m in block_matrices(lm).items()}
    for name, module in block_matrices(lm).items():
        step = out_in_weight(module).abs().amax(-1, keepdim=True) / 127
        assert bool(((out_in_weight(module) - after[name]).abs() <= step * 0.50001).all())
    assert any(stores_transposed(m) for m in block_matrices(lm).values()) == ("gpt2" in lm.name)


def test_rounding_leaves_zeros_and_is_idempotent():
    weight = noise(4, 70, seed=5)
    weight[2] = 0
    new = rounded(weight, 4, 64)
    assert torch.equal(new[2], weight[2])
    torch.testing.assert_close(rounded(new, 4, 64), new)


def test_noise_has_the_stated_relative_norm_and_one_direction_at_all_sigmas():
    weight = noise(8, 12, seed=6)
    small, large = noisy(weight, 0.1, 7) - weight, noisy(weight, 0.4, 7) - weight
    assert float(small.norm() / weight.norm()) == pytest.approx(0.1, rel=1e-4)
    torch.testing.assert_close(4 * small, large, atol=1e-5, rtol=1e-4)
    assert not torch.equal(noisy(weight, 0.1, 8), noisy(weight, 0.1, 7))


def test_each_direction_and_matrix_has_noise_of_its_own(lm):
    attack = WeightNoise((0.1,), directions=2)
    one, two = (attack.edit(lm, NoOp(), setting) for setting in attack.settings(lm))
    values = [edit.new_values(lm) for edit in (one, two)]
    assert not any(torch.equal(values[0][name], values[1][name]) for name in values[0])
    base = state(lm)
    first, *others = [values[0][name] - base[name] for name in values[0]]
    assert not any(n.shape == first.shape and torch.equal(n, first) for n in others)


def test_key_scaling_by_one_is_nothing_and_its_grid_has_nulls_of_equal_size(lm):
    attack = KeyScaling(
        tuple((1, i) for i in range(8)),
        (1.0, 10.0),
        (1, 7),
        which="gate" if lm.gated else None,
        null_draws=2,
    )
    settings = attack.settings(lm)
    assert [s.budget for s in settings if not s.null] == [1, 10, 70]
    assert attack.edit(lm, NoOp(), settings[0]).kind == "no-op"
    for setting in settings:
        if setting.null:
            edit = attack.edit(lm, NoOp(), setting)
            drawn = edit.provenance["neurons"]
            assert len({tuple(n) for n in drawn}) == setting.values["count"]
            assert all(layer == 1 and index >= 8 for layer, index in drawn)


def test_a_null_needs_neurons_to_draw_from(gpt2):
    everything = tuple((0, i) for i in range(gpt2.d_mlp))
    with pytest.raises(AttackFailed, match="null_draws"):
        random_neurons(gpt2, everything[:3], everything)


@pytest.mark.parametrize(
    "attack",
    [Pruning((1.0,)), Quantisation((1,)), Interpolation((1.5,)), WeightNoise(()), Pruning((-0.1,))],
)
def test_budgets_that_mean_nothing_are_refused(gpt2, attack):
    with pytest.raises(ConfigError, match="Give numbers from"):
        attack.settings(gpt2)


@pytest.mark.usefixtures("_unhooked")
def test_settings_that_try_nothing_are_refused_when_they_are_made():
    with pytest.raises(ConfigError, match="directions is 0"):
        WeightNoise(directions=0)
    for group in (0, -1, 1.5):
        with pytest.raises(ConfigError, match=f"group is {group}"):
            Quantisation((4,), group=group)
    with pytest.raises(ConfigError, match="no neuron"):
        KeyScaling(())
    with pytest.raises(ConfigError, match="which='foo'"):
        KeyScaling(((0, 1),), which="foo")
    with pytest.raises(ConfigError, match="null_draws is -1"):
        KeyScaling(((0, 1),), null_draws=-1)


def test_keys_that_a_model_does_not_have_are_told_before_a_grid_begins(lm):
    right, wrong = ("gate", None) if lm.gated else (None, "up")
    with pytest.raises(ConfigError, match="gated"):
        KeyScaling(((0, 1),), counts=(1,), which=wrong).settings(lm)
    with pytest.raises(EditError, match="no neuron"):
        KeyScaling(((0, 10_000),), counts=(1,), which=right).settings(lm)
