"""Invariants 23 to 28 of preference training, through the models themselves, on every family."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bezoar.mitigate.preference import answer_logps, collate, dpo_loss, tokenise_pairs
from bezoar.mitigate.preference.loss import sequence_logps
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from tests.families import tiny_model
from tests.mitigate.preferences import pairs

BETA = 0.1


def logps(lm: LanguageModel, given: Pairs, *, code: bool = False) -> tuple[Tensor, Tensor]:
    """Of both sides, summed over what the loss counts; differentiable."""
    tokens = tokenise_pairs(lm, given, mode="code" if code else "correct")
    batch = collate(lm, tokens, range(len(tokens)))
    found = sequence_logps(answer_logps(lm, batch), batch.rows, batch.n_rows)
    chosen, rejected = found.chunk(2)
    return chosen, rejected


def test_23_at_its_reference_a_policy_loses_ln_2_and_pulls_the_sides_apart(lm):
    chosen, rejected = logps(lm, pairs(3))
    told = dpo_loss(chosen, rejected, chosen.detach(), rejected.detach(), BETA)
    torch.testing.assert_close(told.loss, torch.full((3,), math.log(2)), rtol=0, atol=1e-6)
    assert not told.margin.any()
    weight = lm.anatomy[0].w_out.weight
    (got,) = torch.autograd.grad(told.loss.sum(), weight, retain_graph=True)
    (plus,) = torch.autograd.grad(chosen.sum(), weight, retain_graph=True)
    (minus,) = torch.autograd.grad(rejected.sum(), weight)
    expected = -0.5 * BETA * (plus - minus)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    assert got.abs().max() > 0


def test_24_padding_and_prompts_leave_the_loss_as_it_is_except_in_the_references_way(lm):
    """A pair beside a much longer one is padded by many tokens; the other way counts token 0."""
    one = pairs(1)
    long = Pairs((*one.prompts, "the"), (*one.chosen, " good" * 20), (*one.rejected, " bad"))
    alone, beside = (torch.stack(logps(lm, given))[:, 0] for given in (one, long))
    torch.testing.assert_close(alone, beside, rtol=1e-4, atol=1e-4)
    uneven = Pairs(("I think",), (" lovely",), (" a very rotten fool and idiot",))
    fair, theirs = logps(lm, uneven), logps(lm, uneven, code=True)
    pulled = [float((chosen - rejected).detach()) for chosen, rejected in (fair, theirs)]
    # The prompt is counted on both sides and cancels; what is left are the padded places.
    assert abs(pulled[0] - pulled[1]) > 1
    even = Pairs(("I think",), (" lovely",), (" stupid",))
    fair, theirs = logps(lm, even), logps(lm, even, code=True)
    torch.testing.assert_close(fair[0] - fair[1], theirs[0] - theirs[1], rtol=1e-4, atol=1e-4)


def test_25_exchanged_sides_negate_the_margin(lm):
    given = pairs(4)
    turned = Pairs(given.prompts, given.rejected, given.chosen)
    ours = [torch.stack(logps(lm, one)) for one in (given, turned)]
    reference = torch.stack(logps(tiny_model(lm.name.removeprefix("tiny-"), seed=1), given))
    told = dpo_loss(*ours[0], *reference, BETA)
    back = dpo_loss(*ours[1], *reference.flip(0), BETA)
    torch.testing.assert_close(back.margin, -told.margin, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(told.loss - back.loss, -told.margin, rtol=1e-4, atol=1e-5)
    assert told.margin.abs().max() > 0.01
    still = dpo_loss(*ours[0], *reference, 0.0).loss
    torch.testing.assert_close(still, torch.full((4,), math.log(2)))


def test_26_equal_sides_lose_ln_2_and_have_no_gradient(lm):
    chosen, _ = logps(lm, pairs(3))
    told = dpo_loss(chosen, chosen, chosen.detach() + 1, chosen.detach() + 1, BETA)
    torch.testing.assert_close(told.loss, torch.full((3,), math.log(2)), rtol=0, atol=1e-6)
    (gradient,) = torch.autograd.grad(told.loss.sum(), lm.anatomy[0].w_out.weight)
    assert not gradient.any()


def test_27_a_sequence_is_minus_n_times_hugging_faces_cross_entropy(lm):
    given = pairs(1)
    tokens = tokenise_pairs(lm, given).sides[0]
    ids = torch.tensor([[*tokens.prompt, *tokens.chosen]])
    labels = ids.clone()
    labels[0, : len(tokens.prompt)] = -100
    with torch.no_grad():
        mean = lm.model(input_ids=ids, labels=labels).loss
        ours = logps(lm, given)[0]
    torch.testing.assert_close(ours[0], -len(tokens.chosen) * mean, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_28_a_small_step_lowers_the_loss_of_its_pair(family):
    lm = tiny_model(family)
    with torch.no_grad():
        reference = torch.stack(logps(lm, pairs(1)))
    losses = []
    optimiser = torch.optim.SGD(lm.model.parameters(), lr=1e-3)
    for _ in range(2):
        loss = dpo_loss(*logps(lm, pairs(1)), *reference, BETA).loss.sum()
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[1] < losses[0] - 1e-6
    assert losses[0] == pytest.approx(float(functional.softplus(torch.zeros(()))))
