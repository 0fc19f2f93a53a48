"""Pruning by weight times activation."""

from __future__ import annotations

import pytest
import torch

from bezoar.attack import WandaPruning
from bezoar.attack.matrices import block_matrices
from bezoar.attack.wanda import input_norms, pruned_by_input
from bezoar.errors import DataError
from bezoar.models import out_in_weight
from tests.attack.kit import same, state, weight_remedy
from tests.edits.kit import noise
from tests.mitigate.kit import TEXTS


def test_equal_inputs_make_it_magnitude_by_row():
    weight = noise(7, 10, seed=3)
    new = pruned_by_input(weight, torch.ones(10), 0.3)
    for row, old in zip(new, weight, strict=True):
        assert int((row == 0).sum()) == 3
        assert old[row == 0].abs().max() <= old[row != 0].abs().min()
    assert torch.equal(new[new != 0], weight[new != 0])


def test_a_silent_input_goes_first_however_large_its_weights():
    weight = noise(5, 8, seed=1)
    weight[:, 2] = 100.0
    norms = torch.ones(8)
    norms[2] = 0.0
    new = pruned_by_input(weight, norms, 1 / 8)
    assert bool((new[:, 2] == 0).all())
    assert int((new == 0).sum()) == 5


def test_it_removes_the_least_change_of_the_output_of_a_row():
    """Of all choices of one input a row, the one whose removal changes (Wx)_i least on average."""
    weight, x = noise(6, 9, seed=2), noise(400, 9, seed=4) * torch.arange(1.0, 10.0)
    x -= (x @ torch.linalg.pinv(x)) @ x * 0  # keep as it is: inputs need not be centred
    norms = x.square().sum(0).sqrt()
    new = pruned_by_input(weight, norms, 1 / 9)
    cost = (weight[:, None, :] * x[None]).square().sum(1)  # [row input]
    assert torch.equal((new == 0).int().argmax(1), cost.argmin(1))


def test_norms_are_of_real_tokens_of_the_model_as_it_is(lm):
    rows = lm.encode(list(TEXTS))
    norms = input_norms(lm, lm.batch(rows))
    assert norms.keys() == block_matrices(lm).keys()
    alone: dict[str, torch.Tensor] = {}
    for ids in rows:  # one by one there is no padding
        for name, value in input_norms(lm, lm.batch([ids])).items():
            alone[name] = alone.get(name, 0.0) + value.square()
    for name, value in norms.items():
        torch.testing.assert_close(value, alone[name].sqrt(), atol=1e-3, rtol=1e-3)


def test_the_edited_model_is_pruned_and_restored(lm):
    before, remedy = state(lm), weight_remedy(lm, scale=1.0)
    with remedy.applied_to(lm):
        edited = state(lm)
    attack = WandaPruning(TEXTS, (0.5,))
    on_top = attack.edit(lm, remedy, attack.settings(lm)[0])
    assert same(state(lm), before)
    with attack.compose(remedy, on_top).applied_to(lm):
        now = state(lm)
        shares = [(out_in_weight(m) == 0).float().mean(1) for m in block_matrices(lm).values()]
    assert same(state(lm), before)
    assert all(bool((share >= 0.48).all()) for share in shares)
    for name in block_matrices(lm):
        kept = now[name] != 0
        assert torch.equal(now[name][kept], edited[name][kept])


@pytest.mark.usefixtures("_unhooked")
def test_without_text_there_is_nothing_to_calibrate_on(gpt2):
    with pytest.raises(DataError, match="calibrate"):
        WandaPruning(("",)).against(gpt2, weight_remedy(gpt2))
    with pytest.raises(DataError, match="calibrate"):  # before anything is measured
        WandaPruning(("",)).settings(gpt2)
    with pytest.raises(DataError, match="no text to calibrate"):
        WandaPruning(())
    with pytest.raises(DataError, match="one string, 'the man is kind'"):
        WandaPruning("the man is kind")
