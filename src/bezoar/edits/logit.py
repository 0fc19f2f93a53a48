"""Edits of the next-token logits: bans and biases of tokens, with or without what came before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bezoar.edits.edit import Applied, Edit
from bezoar.edits.weight import WeightEdit
from bezoar.errors import EditError, NotFoldable
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LogitEdit(Edit):
    """Add a bias (−∞ bans) to the last token of each sequence, where its first ones have been said.

    Attributes:
        sequences: token ids; one of length 1 is biased everywhere.
        bias: one number (in nats) for each sequence.
    """

    kind: ClassVar[str] = "logit"
    sequences: tuple[tuple[int, ...], ...]
    bias: Float[Tensor, " n"]
    name: str = "logit edit"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.sequences) != self.bias.shape[0] or not all(self.sequences):
            raise EditError(
                f"{len(self.sequences)} token sequences came with {self.bias.shape[0]} biases.",
                hint="Give one bias for each sequence, and no empty sequence.",
            )
        if bool(torch.isnan(self.bias).any()) or bool(torch.isposinf(self.bias).any()):
            raise EditError("A logit bias is NaN or +∞.", hint="Use a number, or -inf to ban.")

    @property
    def foldable(self) -> bool:
        return False

    def check(self, lm: LanguageModel) -> None:
        ids = [i for sequence in self.sequences for i in sequence]
        if ids and not 0 <= min(ids) <= max(ids) < lm.d_vocab:
            raise EditError(
                f"Token id {max(ids) if min(ids) >= 0 else min(ids)} is none of the {lm.d_vocab} "
                f"of {lm.name}.",
                hint="The edit was made with another tokenizer.",
            )

    def hooks(self, lm: LanguageModel) -> Mapping[str, int]:
        return {"logits": 1}

    def fold(self, lm: LanguageModel) -> WeightEdit:
        raise NotFoldable(
            "A ban acts on the logits of each step, and a stock checkpoint has no place for it.",
            hint="Give the token ids to the server (bad_words_ids, logit_bias).",
        )

    @contextmanager
    def _entered(self, lm: LanguageModel, applied: Applied) -> Iterator[None]:
        self.check(lm)

        def processor(input_ids: Tensor, logits: Tensor) -> Tensor:
            applied.calls["logits"] += 1
            return self.biased(input_ids, logits)

        lm.logits_processors.append(processor)
        try:
            yield
        finally:
            lm.logits_processors.remove(processor)

    def biased(
        self, input_ids: Int[Tensor, "batch pos"], logits: Float[Tensor, "batch *kept d_vocab"]
    ) -> Float[Tensor, "batch *kept d_vocab"]:
        """The logits after the edit; those of the last positions if not of all."""
        out = logits.clone()
        single = [i for i, sequence in enumerate(self.sequences) if len(sequence) == 1]
        ids = torch.tensor([self.sequences[i][0] for i in single], device=out.device)
        amounts = self.bias[single].to(out).expand(*out.shape[:-1], -1)
        out.index_add_(-1, ids.long(), amounts)
        kept = out.shape[1] if out.ndim == 3 else 1
        for sequence, amount in zip(self.sequences, self.bias.tolist(), strict=True):
            *before, token = sequence
            if before:
                said = _said(input_ids, before)[:, -kept:].reshape(out.shape[:-1])
                out[..., token] = torch.where(said, out[..., token] + amount, out[..., token])
        return out


def _said(ids: Int[Tensor, "batch pos"], before: list[int]) -> Bool[Tensor, "batch pos"]:
    """Where the tokens up to and including a position end in ``before``."""
    match = torch.ones_like(ids, dtype=torch.bool)
    for back, token in enumerate(reversed(before)):
        match[:, :back] = False
        # A text shorter than the sequence leaves nothing to compare, not a negative end.
        match[:, back:] &= ids[:, : max(ids.shape[1] - back, 0)] == token
    return match
