"""Steering the edited model."""

from __future__ import annotations

import pytest
import torch

from bezoar.attack import Steering
from bezoar.edits import ActivationEdit, NoOp, Project
from bezoar.errors import ConfigError, DataError
from bezoar.locate import Direction
from bezoar.mitigate import Subtract
from tests.attack.kit import CORPUS
from tests.edits.kit import batch, noise
from tests.mitigate.kit import inputs


def test_every_third_layer_is_steered(gpt2):
    attack = Steering(CORPUS, inputs(gpt2).probe, (0.5, 1.0), null_draws=1)
    assert [str(site) for site in attack.sites(gpt2)] == ["2.resid_post"]
    settings = attack.settings(gpt2)
    assert len(settings) == 2 * 3
    assert sum(s.null for s in settings) == 2


def test_the_shift_is_the_coefficient_times_the_residual_norm(lm):
    attack = Steering(CORPUS, inputs(lm).probe, (0.5, 2.0), null_draws=2)
    site = attack.sites(lm)[0]
    rows = lm.batch(lm.encode(CORPUS.texts))
    last = lm.capture(rows, [site])[site][torch.arange(len(rows)), rows.lengths - 1]
    norm = float(last.norm(dim=-1).mean())
    make = attack.against(lm, NoOp())
    for setting in attack.settings(lm):
        edit = make(setting)
        assert isinstance(edit, ActivationEdit)
        assert float(edit.ops[0].op.vector.norm()) == pytest.approx(setting.budget * norm, rel=1e-4)


def test_the_mean_difference_is_fitted_on_the_edited_model(lm):
    last = lm.n_layers - 1
    attack = Steering(CORPUS, None, (1.0,), layers=(last,), null_draws=0)
    setting = attack.settings(lm)[0]
    base = attack.edit(lm, NoOp(), setting).ops[0].op.vector
    removed = inputs(lm).probe.vector
    gone = ActivationEdit.at([lm.site(f"{last}.resid_post")], Project(removed[None]))
    after = attack.edit(lm, gone, setting).ops[0].op.vector
    left = base - (base @ removed) * removed
    assert float(torch.nn.functional.cosine_similarity(base, after, dim=0)) < 0.9999
    assert float(torch.nn.functional.cosine_similarity(left, after, dim=0)) > 0.9999


def test_steering_undoes_a_subtraction_of_its_own_size(gpt2):
    probe = inputs(gpt2).probe
    attack = Steering(CORPUS, probe, (1.0,), layers=(2,), null_draws=0)
    setting = next(s for s in attack.settings(gpt2) if s.values["kind"] == "direction")
    length = float(attack.edit(gpt2, NoOp(), setting).ops[0].op.vector.norm())
    remedy = Subtract("probe", length).fit(gpt2, inputs(gpt2))
    rows = batch(gpt2)
    base = gpt2.logits(rows)[rows.mask]
    undone = remedy.then(attack.edit(gpt2, NoOp(), setting))
    with undone.applied_to(gpt2):
        torch.testing.assert_close(gpt2.logits(rows)[rows.mask], base, atol=1e-4, rtol=1e-3)


def test_a_direction_of_another_width_is_refused(gpt2):
    wrong = Direction.of(noise(5), gpt2.site("0.resid_post"))
    with pytest.raises(DataError, match="width 5"):
        Steering(CORPUS, wrong).against(gpt2, NoOp())
    with pytest.raises(DataError, match="width 5"):  # before anything is measured
        Steering(CORPUS, wrong).settings(gpt2)


def test_steering_nowhere_is_refused():
    with pytest.raises(ConfigError, match="no layer to steer at"):
        Steering(CORPUS, layers=())
    with pytest.raises(ConfigError, match="null_draws is -1"):
        Steering(CORPUS, null_draws=-1)
    with pytest.raises(ConfigError, match="max_tokens is 0"):
        Steering(CORPUS, max_tokens=0)
