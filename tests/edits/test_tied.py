"""A tied parameter under both of its names."""

from __future__ import annotations

import torch

from bezoar.edits import WeightEdit, load_edit
from bezoar.edits.delta import Dense
from tests.edits.kit import noise

HEAD, EMBED = "lm_head.weight", "transformer.wte.weight"


def test_with_equal_deltas_it_stays_one_tensor(gpt2, tmp_path):
    delta = Dense(noise(*gpt2.model.lm_head.weight.shape))
    edit = WeightEdit({HEAD: delta, EMBED: delta})
    edit.save(tmp_path)
    old = gpt2.model.lm_head.weight
    for one in (edit, load_edit(tmp_path, gpt2)):
        with one.applied_to(gpt2):
            assert gpt2.model.lm_head.weight is gpt2.model.transformer.wte.weight
            torch.testing.assert_close(gpt2.model.lm_head.weight.data, old.data + delta.delta)
        assert gpt2.model.lm_head.weight is old is gpt2.model.transformer.wte.weight


def test_with_other_deltas_or_one_alone_it_comes_apart(gpt2):
    shape = gpt2.model.lm_head.weight.shape
    first, second = Dense(noise(*shape)), Dense(noise(*shape, seed=1))
    for deltas in ({HEAD: first}, {HEAD: first, EMBED: second}):
        with WeightEdit(deltas).applied_to(gpt2):
            assert gpt2.model.lm_head.weight is not gpt2.model.transformer.wte.weight
    assert gpt2.model.lm_head.weight is gpt2.model.transformer.wte.weight
