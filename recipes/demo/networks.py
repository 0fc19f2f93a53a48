"""The ladder of decoders and their masked twin: sizes, losses, learning rates.

Every size has six layers, so that a layer of one can be compared with the same layer of another;
only the width grows. The vocabulary's rows are tied to the output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from muon import Muon
from stream import CONTEXT, END_ID, MASK_ID, VOCAB, layout
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel

Objective = Literal["next", "masked"]
WIDTHS = {"0.5": (48, 3), "1.5": (96, 3), "4.5": (192, 6)}  # millions: width, heads
LAYERS = 6
MASKED_SHARE = 0.2
CHUNK = 256  # rows of logits held at once


@dataclass(frozen=True, slots=True)
class Rates:
    """Peak learning rates."""

    muon: float = 5e-3
    adam: float = 3e-3


def build(size: str, objective: Objective, vocab: int = VOCAB) -> PreTrainedModel:
    """A decoder (GPT-2) or its masked twin (BERT) of about ``size`` million parameters."""
    width, heads = WIDTHS[size]
    if objective == "next":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab,
                n_positions=CONTEXT,
                n_embd=width,
                n_layer=LAYERS,
                n_head=heads,
                activation_function="gelu_pytorch_tanh",
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=END_ID,
                eos_token_id=END_ID,
                pad_token_id=END_ID,
            )
        )
    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocab,
            hidden_size=width,
            num_hidden_layers=LAYERS,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            hidden_act="gelu_pytorch_tanh",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            max_position_embeddings=CONTEXT,
            type_vocab_size=1,
            bos_token_id=END_ID,
            eos_token_id=END_ID,
            pad_token_id=None,
        )
    )


class TiedHead(torch.autograd.Function):
    """Mean cross-entropy of ``hidden @ weight.T``, a few rows of logits at a time.

    The output layer takes a third of a small model's arithmetic and most of its memory traffic.
    Both gradients are made in the forward pass while the rows are in cache, which saves a fifth of
    a step against ``cross_entropy`` over [batch·pos vocab] logits.
    """

    @staticmethod
    def forward(ctx, hidden, weight, targets):
        n = len(targets)
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        total = hidden.new_zeros(())
        for start in range(0, n, CHUNK):
            h, target = hidden[start : start + CHUNK], targets[start : start + CHUNK, None]
            logits = h @ weight.T
            logits -= logits.amax(1, keepdim=True)
            chosen = logits.gather(1, target)
            p = logits.exp_()
            sums = p.sum(1, keepdim=True)
            total += (sums.log() - chosen).sum()
            p /= sums * n
            p.scatter_add_(1, target, torch.full_like(chosen, -1 / n))
            torch.mm(p, weight, out=d_hidden[start : start + CHUNK])
            d_weight.addmm_(p.T, h)
        ctx.save_for_backward(d_hidden, d_weight)
        return total / n

    @staticmethod
    def backward(ctx, grad):
        d_hidden, d_weight = ctx.saved_tensors
        return grad * d_hidden, grad * d_weight, None


def next_loss(model: GPT2LMHeadModel, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean nats of the next token; ``inputs`` and ``targets`` are [batch pos]."""
    position, visible = layout(inputs, causal=True)
    body = model.transformer(
        input_ids=inputs, position_ids=position, attention_mask=visible, use_cache=False
    )
    return TiedHead.apply(
        body.last_hidden_state.flatten(0, 1), model.lm_head.weight, targets.flatten()
    )


def mask_tokens(
    inputs: torch.Tensor, vocab: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide MASKED_SHARE of the tokens as BERT does (Devlin et al. 2019); END is never hidden.

    Of the chosen four fifths become MASK, a tenth a random token and a tenth stay.

    Returns:
        The corrupted inputs and which positions were chosen, both [batch pos].
    """
    chosen = torch.rand(inputs.shape, generator=generator) < MASKED_SHARE
    chosen &= inputs != END_ID
    fate = torch.rand(inputs.shape, generator=generator)
    other = torch.randint(MASK_ID + 1, vocab, inputs.shape, generator=generator)
    corrupted = torch.where(chosen & (fate < 0.8), MASK_ID, inputs)
    return torch.where(chosen & (fate >= 0.9), other, corrupted), chosen


def masked_loss(
    model: BertForMaskedLM,
    inputs: torch.Tensor,
    generator: torch.Generator,
    reach: int = CONTEXT,
) -> torch.Tensor:
    """Mean nats of the hidden tokens; the output layer is run for those only.

    With a ``reach`` below the context a window is cut into stretches of so many tokens, each of
    which sees itself alone; a token keeps the position that it has in its document.
    """
    position, _ = layout(inputs, causal=False)
    if reach < inputs.shape[1]:
        position, inputs = position.reshape(-1, reach), inputs.reshape(-1, reach)
    _, visible = layout(inputs, causal=False)
    corrupted, chosen = mask_tokens(inputs, model.config.vocab_size, generator)
    body = model.bert(input_ids=corrupted, position_ids=position, attention_mask=visible)
    logits = model.cls(body.last_hidden_state[chosen])
    return F.cross_entropy(logits, inputs[chosen])


def optimisers(model: PreTrainedModel, rates: Rates) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embeddings, norms and biases."""
    blocks = (".h.", ".layer.")
    matrices = [
        p
        for name, p in model.named_parameters()
        if p.ndim == 2 and any(part in name for part in blocks)
    ]
    known = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in known]
    return [
        Muon(matrices, lr=rates.muon, weight_decay=0.02),
        torch.optim.AdamW(rest, lr=rates.adam, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]
