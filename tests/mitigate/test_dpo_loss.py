"""The loss: theorems 23 to 28 of the invariants."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from bezoar.mitigate.preference import answer_logps, collate, dpo_loss, tokenise_pairs
from bezoar.mitigate.preference.forward import fused_gelu
from bezoar.mitigate.preference.loss import (
    sampled_kl,
    sequence_logps,
    shifted_logps,
    token_logps,
)
from tests.edits.kit import noise
from tests.families import tiny_model
from tests.mitigate.preferences import pairs

BETA = 0.1


def four(seed: int = 0) -> list[torch.Tensor]:
    return [20 * noise(5, seed=seed + i).double() - 40 for i in range(4)]


def test_the_policy_at_its_reference_loses_ln_2_and_pulls_the_sides_apart(gpt2):
    """23: and its gradient is −½β(∇log π(y⁺) − ∇log π(y⁻))."""
    tokens = tokenise_pairs(gpt2, pairs(3))
    batch = collate(gpt2, tokens, range(3))
    parameter = gpt2.anatomy[1].w_out.weight
    logps = sequence_logps(answer_logps(gpt2, batch), batch.rows, 6)
    chosen, rejected = logps.chunk(2)
    told = dpo_loss(chosen, rejected, chosen.detach(), rejected.detach(), BETA)
    torch.testing.assert_close(told.loss, torch.full((3,), math.log(2)), rtol=0, atol=1e-7)
    assert not told.chosen_reward.any()
    assert not told.margin.any()
    (got,) = torch.autograd.grad(told.loss.sum(), parameter, retain_graph=True)
    (plus,) = torch.autograd.grad(chosen.sum(), parameter, retain_graph=True)
    (minus,) = torch.autograd.grad(rejected.sum(), parameter)
    torch.testing.assert_close(got, -0.5 * BETA * (plus - minus), rtol=1e-4, atol=1e-6)
    assert got.abs().max() > 1e-4


def test_what_both_sides_share_cancels():
    """24: the prompt's log-probability, on the policy and on the reference."""
    a, b, c, d = four()
    prompt, elsewhere = noise(5, seed=9).double(), noise(5, seed=8).double()
    shifted = dpo_loss(a + prompt, b + prompt, c + elsewhere, d + elsewhere, BETA)
    torch.testing.assert_close(shifted.loss, dpo_loss(a, b, c, d, BETA).loss)
    assert not torch.allclose(shifted.chosen_reward, dpo_loss(a, b, c, d, BETA).chosen_reward)


def test_exchanged_sides_negate_the_margin():
    """25: ℓ(m) − ℓ(−m) = −m for the margin m, which holds β."""
    a, b, c, d = four()
    told, turned = dpo_loss(a, b, c, d, BETA), dpo_loss(b, a, d, c, BETA)
    torch.testing.assert_close(turned.margin, -told.margin)
    torch.testing.assert_close(told.loss - turned.loss, -told.margin)


def test_no_beta_no_loss_to_lower():
    """25."""
    told = dpo_loss(*four(), 0.0)
    torch.testing.assert_close(told.loss, torch.full((5,), math.log(2), dtype=torch.float64))


def test_without_a_reference_its_log_ratio_is_zero():
    """25."""
    a, b, c, _ = four()
    zero = torch.zeros_like(a)
    free = dpo_loss(a, b, zero, zero, BETA).loss
    torch.testing.assert_close(free, dpo_loss(a, b, c, c, BETA).loss)


def test_the_loss_falls_as_the_chosen_side_becomes_likelier():
    """26: and equal sides give ln 2 and no gradient."""
    a, b, c, d = four()
    losses = [dpo_loss(a + step, b, c, d, BETA).loss for step in (0.0, 1.0, 2.0)]
    assert (losses[0] > losses[1]).all()
    assert (losses[1] > losses[2]).all()
    side = a.clone().requires_grad_()
    told = dpo_loss(side, side, c, c, BETA)
    assert told.loss[0].item() == pytest.approx(math.log(2))
    assert not torch.autograd.grad(told.loss.sum(), side)[0].any()


def test_extreme_margins_stay_finite():
    big = torch.full((1,), 1e4)
    zero = torch.zeros(1)
    assert dpo_loss(big, zero, zero, zero, 1.0).loss.item() == 0
    assert dpo_loss(zero, big, zero, zero, 1.0).loss.item() == pytest.approx(1e4)


def test_a_sequence_is_the_sum_of_its_shifted_tokens():
    """27: also −n times the cross-entropy of the continuation."""
    logits, ids = noise(2, 6, 11, seed=3), torch.randint(11, (2, 6))
    counted = torch.tensor([[0, 0, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0]]).bool()
    got = shifted_logps(logits, ids, counted)
    plain = logits.log_softmax(-1)
    for row, positions in enumerate(([2, 3, 4], [1, 2])):
        expected = sum(plain[row, p - 1, ids[row, p]] for p in positions)
        torch.testing.assert_close(got[row], expected)
        before = [p - 1 for p in positions]
        mean = functional.cross_entropy(logits[row, before], ids[row, positions])
        torch.testing.assert_close(got[row], -len(positions) * mean)


def test_half_precision_is_summed_in_single():
    logits, targets = noise(4, 9, seed=1).bfloat16(), torch.tensor([1, 2, 3, 4])
    found = token_logps(logits, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, token_logps(logits.float(), targets))


def test_one_small_step_lowers_the_loss_of_its_pair():
    """28."""
    from tests.families import tiny_model

    lm = tiny_model("gpt2", seed=4)
    batch = collate(lm, tokenise_pairs(lm, pairs(1)), [0])

    def loss(reference: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        logps = sequence_logps(answer_logps(lm, batch), batch.rows, 2)
        base = logps.detach() if reference is None else reference
        (a, b), (c, d) = logps.chunk(2), base.chunk(2)
        return dpo_loss(a, b, c, d, BETA).loss.mean(), base

    first, reference = loss()
    parameters = [*lm.model.parameters()]
    gradients = torch.autograd.grad(first, parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= 1e-3 * gradient
    assert loss(reference)[0] < first - 1e-6


def test_the_kl_of_a_models_own_samples():
    """Exact in expectation over a distribution's own tokens, and never negative."""
    reference, policy = noise(7, seed=1).softmax(-1).double(), noise(7, seed=2).softmax(-1).double()
    exact = float((reference * (reference / policy).log()).sum())
    draws = torch.multinomial(reference, 200_000, replacement=True, generator=_generator())
    found = sampled_kl(policy.log()[draws], reference.log()[draws])
    assert float(found) == pytest.approx(exact, rel=0.03)
    assert float(sampled_kl(policy.log(), policy.log())) == 0
    assert float(sampled_kl(policy.log()[draws[:3]], reference.log()[draws[:3]])) >= 0


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_token_logps_are_a_log_softmax_with_its_gradient():
    """More tokens than are taken at a time, a banned word, weights of either sign."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(71, 30, generator=generator, dtype=torch.float64)
    logits[:, 3] = -torch.inf
    targets = torch.randint(4, 30, (71,), generator=generator)
    weights = torch.randn(71, generator=generator, dtype=torch.float64)
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    found = token_logps(ours, targets)
    expected = theirs.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12)
    half = token_logps(logits.bfloat16().requires_grad_(), targets)
    assert half.dtype == torch.float32
    half.sum().backward()


def test_a_gelu_in_one_piece_is_the_models_own(lm):
    tokens = tokenise_pairs(lm, pairs(6))
    batch = collate(lm, tokens, range(6))

    def gradients():
        loss = answer_logps(lm, batch).square().mean()
        return loss, *torch.autograd.grad(loss, [*lm.model.parameters()], allow_unused=True)

    old = gradients()
    with fused_gelu(lm.model):
        new = gradients()
    for one, other in zip(old, new, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert all("forward" not in vars(module) for module in lm.model.modules())


def test_a_gelu_in_one_piece_keeps_less_for_the_backward_pass():
    lm = tiny_model("gpt2")
    batch = collate(lm, tokenise_pairs(lm, pairs(6)), range(6))

    def kept():
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x: sizes.append(x.numel()) or x, lambda x: x
        ):
            answer_logps(lm, batch)
        return sum(sizes)

    written_out = kept()
    with fused_gelu(lm.model):
        assert kept() < 0.9 * written_out
