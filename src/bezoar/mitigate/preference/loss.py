"""The objectives as pure functions (Rafailov et al. 2023, equation 7; Lee et al. 2024, §4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Preference:
    """What the DPO objective says of each pair.

    Attributes:
        loss: −log σ(margin).
        chosen_reward, rejected_reward: β(log π_θ − log π_ref) of either side.
    """

    loss: Float[Tensor, " pair"]
    chosen_reward: Float[Tensor, " pair"]
    rejected_reward: Float[Tensor, " pair"]

    @property
    def margin(self) -> Float[Tensor, " pair"]:
        """m = β[(log π_θ(y⁺) − log π_θ(y⁻)) − (log π_ref(y⁺) − log π_ref(y⁻))]."""
        return self.chosen_reward - self.rejected_reward


def dpo_loss(
    chosen: Float[Tensor, " pair"],
    rejected: Float[Tensor, " pair"],
    reference_chosen: Float[Tensor, " pair"],
    reference_rejected: Float[Tensor, " pair"],
    beta: float,
) -> Preference:
    """ℓ = −log σ(β[(log π_θ(y⁺) − log π_θ(y⁻)) − (log π_ref(y⁺) − log π_ref(y⁻))]).

    Args:
        chosen, rejected: log-probabilities of the sides under the trained model, summed over
            tokens (natural logarithm).
        reference_chosen, reference_rejected: the same under the reference; zeros for none.
        beta: β, how dearly a step away from the reference is paid.
    """
    chosen_reward = beta * (chosen - reference_chosen)
    rejected_reward = beta * (rejected - reference_rejected)
    loss = -functional.logsigmoid(chosen_reward - rejected_reward)
    return Preference(loss, chosen_reward, rejected_reward)


def token_logps(
    logits: Float[Tensor, "token vocab"], targets: Int[Tensor, " token"]
) -> Float[Tensor, " token"]:
    """log p of each target under the logits that predict it, in at least float32."""
    found: Tensor = _TokenLogps.apply(logits, targets)  # type: ignore[no-untyped-call]
    return found


_ROWS = 32
"""Tokens at a time: their logits over a vocabulary stay in the processor's cache."""


class _TokenLogps(torch.autograd.Function):
    """A cross entropy that holds the logits and their gradient, and nothing else as large.

    log p_y = z_y − log Σ_j exp z_j, and ∂ log p_y / ∂z = onehot(y) − softmax(z): the softmax is
    made again from the logits, some tokens at a time, where torch keeps it beside them.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        total = torch.cat([part.to(wide).logsumexp(-1) for part in logits.split(_ROWS)])
        ctx.save_for_backward(logits, targets, total)
        return logits.gather(1, targets[:, None])[:, 0].to(wide) - total

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, targets, total = ctx.saved_tensors
        found = torch.empty_like(logits)
        parts = (x.split(_ROWS) for x in (logits, total[:, None], gradient[:, None], found))
        for old, whole, weight, new in zip(*parts, strict=True):
            new.copy_((old.to(whole.dtype) - whole).exp_().mul_(-weight))
        place = targets[:, None]
        return found.scatter_add_(1, place, gradient[:, None].to(found.dtype)), None


def sequence_logps(
    tokens: Float[Tensor, " token"], rows: Int[Tensor, " token"], n_rows: int
) -> Float[Tensor, " row"]:
    """Log-probability of each answer: the sum over its tokens.

    Args:
        tokens: log-probabilities of all counted tokens, one after the other.
        rows: which answer each belongs to.
        n_rows: how many answers.
    """
    return tokens.new_zeros(n_rows).index_add(0, rows, tokens)


def shifted_logps(
    logits: Float[Tensor, "batch pos vocab"],
    input_ids: Int[Tensor, "batch pos"],
    counted: Bool[Tensor, "batch pos"],
) -> Float[Tensor, " batch"]:
    """The same from whole logits, as a check: counted tokens t ≥ 1 are predicted at t − 1."""
    counted = counted[:, 1:]
    rows = counted.nonzero()[:, 0]
    found = token_logps(logits[:, :-1][counted], input_ids[:, 1:][counted])
    return sequence_logps(found, rows, len(input_ids))


def sampled_kl(
    policy: Float[Tensor, " token"], reference: Float[Tensor, " token"]
) -> Float[Tensor, ""]:
    """Estimate of KL(reference ‖ policy) a token, from tokens that the reference wrote.

    mean(r − 1 − log r) with r = π_θ/π_ref: unbiased over the reference's own samples, never
    negative, zero if nothing moved (Schulman's k3). Of other texts it is a distance, not a KL.
    """
    log_ratio = policy - reference
    return (log_ratio.exp() - 1 - log_ratio).mean()
