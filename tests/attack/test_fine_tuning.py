"""Fine-tuning as an attack."""

from __future__ import annotations

import pytest
import torch

from bezoar.attack import FineTuning, LaterCheckpoint, Relearning
from bezoar.attack.matrices import block_matrices
from bezoar.attack.training import train
from bezoar.edits import LowRank, NoOp, WeightEdit
from bezoar.errors import AttackFailed, ConfigError, DataError
from bezoar.mitigate import Subtract
from tests.attack.kit import same, state, weight_remedy
from tests.edits.kit import logits
from tests.mitigate.kit import TEXTS, inputs


def nll(lm, texts):
    rows = lm.batch(lm.encode(texts))
    with torch.no_grad():
        shares = lm.logits(rows)[:, :-1].log_softmax(-1)
    taken = shares.gather(-1, rows.input_ids[:, 1:, None])[..., 0]
    return -float(taken[rows.mask[:, 1:]].mean())


def test_training_lowers_the_loss_of_the_edited_model_and_restores_it(lm):
    before, remedy, grad = state(lm), weight_remedy(lm), torch.is_grad_enabled()
    with remedy.applied_to(lm):
        edited = nll(lm, TEXTS)
        deltas = train(lm, list(TEXTS), rate=3e-3, steps=10)
    assert same(state(lm), before)
    assert torch.is_grad_enabled() == grad
    assert all(p.grad is None for p in lm.model.parameters())
    with remedy.then(WeightEdit(deltas)).applied_to(lm):
        assert nll(lm, TEXTS) < edited - 0.1
    assert same(state(lm), before)


def test_one_step_is_adamws_on_the_plain_loss(gpt2):
    """Adam's first step is rate · sign(gradient), whatever its size."""
    deltas = train(gpt2, [TEXTS[0]], rate=1e-3, steps=1)
    rows = gpt2.batch(gpt2.encode([TEXTS[0]]))
    gpt2.model.zero_grad()
    with torch.enable_grad():
        gpt2.model(**gpt2.inputs(rows), labels=rows.input_ids).loss.backward()
    for name, parameter in gpt2.model.named_parameters():
        steep = parameter.grad.abs() > 1e-4 * parameter.grad.abs().max()
        steep &= parameter.grad.abs() > 1e-5
        got = deltas[name].delta[steep]
        torch.testing.assert_close(
            got, -1e-3 * parameter.grad.sign()[steep], atol=2e-5, rtol=2e-2, msg=name
        )
    gpt2.model.zero_grad()


def test_tied_weights_stay_one(gpt2):
    deltas = train(gpt2, [TEXTS[0]], rate=1e-3, steps=2)
    embed, head = deltas["transformer.wte.weight"], deltas["lm_head.weight"]
    assert torch.equal(embed.delta, head.delta)
    assert float(embed.delta.abs().max()) > 0


def test_the_same_seed_trains_the_same_and_another_does_not(gpt2):
    def run(seed):
        return train(gpt2, list(TEXTS), rate=1e-3, steps=2, batch=2, seed=seed)

    name = "transformer.h.0.mlp.c_fc.weight"
    assert torch.equal(run(0)[name].delta, run(0)[name].delta)
    assert not torch.equal(run(0)[name].delta, run(1)[name].delta)


def test_a_hooked_remedy_is_trained_through(gpt2):
    remedy = Subtract("probe", 30.0).fit(gpt2, inputs(gpt2))
    plain = train(gpt2, [TEXTS[0]], rate=1e-3, steps=2)
    with remedy.applied_to(gpt2):
        hooked = train(gpt2, [TEXTS[0]], rate=1e-3, steps=2)
    assert any(not torch.equal(plain[name].delta, hooked[name].delta) for name in plain)


def test_a_training_that_diverges_says_so_and_leaves_the_model_alone(gpt2):
    before = state(gpt2)
    with pytest.raises(AttackFailed, match=r"step \d+ of 20 \(rate 1e\+30\)"):
        train(gpt2, [TEXTS[0]], rate=1e30, steps=20)
    assert same(state(gpt2), before)


def test_texts_of_one_token_cannot_be_trained_on(gpt2):
    with pytest.raises(AttackFailed, match="two tokens"):
        train(gpt2, [" the"], rate=1e-3, steps=1)


def test_every_count_is_tried_with_every_seed_and_rate(gpt2):
    attack = FineTuning(TEXTS, (1, 4), (1e-3, 1e-4), (0, 1, 2), steps=1)
    settings = attack.settings(gpt2)
    assert [s.budget for s in settings] == [1] * 6 + [4] * 6
    assert len({s.variant for s in settings}) == 6
    drawn = attack.edit(gpt2, NoOp(), settings[0])
    assert drawn.provenance["count"] == 1


def test_a_later_checkpoint_is_the_trained_base_with_the_edit_applied_anew(gpt2):
    remedy = weight_remedy(gpt2)
    attack = LaterCheckpoint(TEXTS, (4,), (1e-3,), (0,), steps=3)
    setting = attack.settings(gpt2)[0]
    on_top = attack.edit(gpt2, remedy, setting)
    with on_top.applied_to(gpt2), remedy.applied_to(gpt2):
        expected = logits(gpt2)
    with attack.compose(remedy, on_top).applied_to(gpt2):
        assert torch.equal(logits(gpt2), expected)
    with attack.edit(gpt2, NoOp(), setting).applied_to(gpt2):
        trained = logits(gpt2)
    with on_top.applied_to(gpt2):
        assert torch.equal(logits(gpt2), trained)  # trained on the base, not on the edited model


def test_adapters_learn_with_all_else_as_it_was(lm):
    before, remedy = state(lm), weight_remedy(lm)
    with remedy.applied_to(lm):
        edited = nll(lm, TEXTS)
        deltas = train(lm, list(TEXTS), rate=1e-2, steps=10, rank=2)
    assert same(state(lm), before)
    assert deltas.keys() == block_matrices(lm).keys()
    assert all(isinstance(d, LowRank) and min(d.A.shape) == 2 for d in deltas.values())
    with remedy.then(WeightEdit(deltas)).applied_to(lm):
        assert nll(lm, TEXTS) < edited - 0.05
    assert same(state(lm), before)


def test_adapters_begin_as_nothing_and_move_only_the_side_of_the_outputs_first(lm):
    """With B = 0 the first gradient of A is zero, so one step changes B alone."""
    one = train(lm, [TEXTS[0]], rate=1e-3, steps=1, rank=2)
    start = train(lm, [TEXTS[0]], rate=1e-30, steps=1, rank=2)
    for name, delta in one.items():
        read, first = (d.A if d.A.abs().max() > 0.01 else d.B for d in (delta, start[name]))
        torch.testing.assert_close(read, first, atol=3e-3, rtol=0)
        assert float((start[name].A @ start[name].B).abs().max()) < 1e-6


def test_relearning_is_fine_tuning_by_its_steps(gpt2):
    attack = Relearning(TEXTS, (4, 1), (1e-3,), (5,))
    settings = attack.settings(gpt2)
    assert [s.budget for s in settings] == [1, 4]
    assert [s.label for s in settings] == ["1 step", "4 steps"]
    edit = attack.edit(gpt2, NoOp(), settings[1])
    same_by_hand = train(gpt2, list(TEXTS), rate=1e-3, steps=4, seed=5)
    for name, delta in edit.deltas.items():
        assert torch.equal(delta.delta, same_by_hand[name].delta)


@pytest.mark.usefixtures("_unhooked")
def test_a_plan_that_trains_nothing_is_refused_when_it_is_made():
    for kind in (FineTuning, LaterCheckpoint, Relearning):
        with pytest.raises(DataError, match="one string, 'the man is kind'"):
            kind("the man is kind")
        with pytest.raises(DataError, match=r"no text to (train on|relearn from)"):
            kind(())
        for wrong in ({"rates": (float("nan"),)}, {"rates": (float("inf"),)}, {"rates": ()}):
            with pytest.raises(ConfigError, match="positive, finite rates"):
                kind(TEXTS, **wrong)
        for seeds in ((), (-1,)):
            with pytest.raises(ConfigError, match="seeds"):
                kind(TEXTS, seeds=seeds)
        for wrong in ({"batch": 0}, {"rank": 0}, {"max_tokens": 1}):
            with pytest.raises(ConfigError, match=rf"{next(iter(wrong))} is [01]\."):
                kind(TEXTS, **wrong)
    with pytest.raises(ConfigError, match="0 steps"):
        Relearning(TEXTS, ())
    with pytest.raises(ConfigError, match="0 steps"):
        FineTuning(TEXTS, steps=0)
