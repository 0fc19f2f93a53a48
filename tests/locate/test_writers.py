"""Writers are the neurons that raised the logit, read with the sign with which they fired."""

from __future__ import annotations

import pytest
import torch

from bezoar.locate import Direction, Writers, name_writers, sub_update_attribution
from bezoar.locate.norm import AffineNorm
from bezoar.runs import load_result, save_result
from tests.families import tiny_model
from tests.locate.kit import PROMPTS


def test_writers_are_read_with_the_sign_of_their_coefficient(lm, tmp_path):
    neurons = sub_update_attribution(lm, PROMPTS, [300], against=range(lm.d_vocab))
    vector = torch.randn(lm.d_model, generator=torch.Generator().manual_seed(0))
    direction = Direction.of(vector, lm.site("-1.resid_post"), name="any")
    found = name_writers(lm, neurons, direction, n=20, k=3)
    assert [(w.layer, w.index) for w in found.writers] == [
        (s.layer, s.index) for s in neurons.raising
    ]
    assert found.raised == pytest.approx(sum(neurons.by_layer))
    for w in found.writers:
        update = lm.values(w.layer)[w.index].detach() * (-1 if w.coefficient < 0 else 1)
        cosine = float(update @ vector / update.norm() / vector.norm())
        assert w.cosine == pytest.approx(cosine, abs=1e-5)
        read = AffineNorm.of(lm.final_norm, update).pull_back(update)
        assert w.tokens.promoted[0].id == int((lm.W_U.detach() @ read).argmax())
    assert {w.coefficient < 0 for w in found.writers} == {True, False}
    save_result(tmp_path / "w.json", found)
    assert load_result(tmp_path / "w.json", Writers) == found


def test_a_neuron_made_to_write_a_token_leads_and_says_it():
    lm = tiny_model("gpt2")
    token = lm.W_U[300].detach() / lm.W_U[300].detach().norm()
    every = range(lm.d_vocab)
    for sign in (1, -1):  # its coefficient is negative for one of them
        with torch.no_grad():
            lm.values(1)[7].copy_(500 * sign * token)
        neurons = sub_update_attribution(lm, PROMPTS, [300], against=every)
        if (neurons.raising[0].layer, neurons.raising[0].index) == (1, 7):
            break
    else:
        pytest.fail("The neuron raises its token with neither sign.")
    direction = Direction.of(token, lm.site("-1.resid_post"), name="token")
    first = name_writers(lm, neurons, direction).writers[0]
    assert first.cosine == pytest.approx(1, abs=1e-5)
    assert first.tokens.promoted[0].id == 300
