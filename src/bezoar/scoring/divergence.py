"""How far an edit moves the next-token distribution on neutral text: mean KL per token.

KL(edited ‖ base) = Σ_v p_edited(v) · ln(p_edited(v) / p_base(v)), in nats, averaged over the first
``tokens`` positions of every text. In this direction a word ban, which makes tokens impossible, has
a finite cost. The KL of the first token alone, as some tools report, can be 0 for a damaged model.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from bezoar.errors import DataError
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.scoring.likelihood import logit_batches
from bezoar.stats.bootstrap import mean_interval
from bezoar.stats.intervals import Interval

MIN_TOKENS = 32
_CACHE_BYTES = 2**29


@runtime_checkable
class Applicable(Protocol):
    """Anything that changes a model for the length of a ``with`` block, as every Edit does."""

    def applied_to(self, lm: Any) -> AbstractContextManager[Any]:
        """A context inside which the model is the edited one."""
        ...


def applied(edit: Applicable | None, lm: LanguageModel) -> AbstractContextManager[Any]:
    """``edit.applied_to(lm)``, or nothing at all for None (the base model)."""
    return nullcontext(lm) if edit is None else edit.applied_to(lm)


@dataclass(frozen=True, slots=True)
class Divergence(Result):
    """Mean KL to the base in nats per token.

    Attributes:
        value: the mean over all positions.
        tokens: how many positions.
        protocol: "kl-32@64": up to 32 positions each of 64 texts.
        per_text: summed KL of each text.
        counts: positions of each text.
    """

    value: float
    tokens: int
    protocol: str
    per_text: tuple[float, ...]
    counts: tuple[int, ...]

    def interval(self, resamples: int = 10_000, seed: int = 0) -> Interval:
        """The value with its bootstrap interval by text; needs at least two."""
        means = np.array(self.per_text) / np.array(self.counts)
        weights = np.array(self.counts)
        return mean_interval(means, weights=weights, resamples=resamples, seed=seed)


class KLMeter:
    """Measures the KL of many edits to one base, whose distributions are computed once.

    They are kept if they fit half a gigabyte; otherwise the base is run again with every edit.

    Args:
        lm: the base model; make the meter outside of any edit.
        texts: neutral texts.
        tokens: positions of each text, from its first, to average over.

    Raises:
        DataError: if there are fewer than 32 positions in all.
    """

    def __init__(self, lm: LanguageModel, texts: Sequence[str], tokens: int = MIN_TOKENS) -> None:
        cut = (ids[: min(tokens, lm.context)] for ids in lm.encode(texts))
        self._ids = [ids for ids in cut if ids]
        self._lm = lm
        self._counts = tuple(len(ids) for ids in self._ids)
        self.protocol = f"kl-{tokens}@{len(self._ids)}"
        if sum(self._counts) < MIN_TOKENS:
            raise DataError(
                f"The neutral text has {sum(self._counts)} tokens for the KL.",
                hint=f"Give at least {MIN_TOKENS}.",
            )
        small = sum(self._counts) * lm.d_vocab * 4 <= _CACHE_BYTES
        self._base = self._log_probs() if small else None

    def measure(self, edit: Applicable | None) -> Divergence:
        """The KL of an edit's model to the base; None gives exactly 0.

        Raises:
            DataError: if the edited model's logits are NaN.
        """
        base = self._base if self._base is not None else self._log_probs()
        with applied(edit, self._lm):
            sums = [0.0] * len(self._ids)
            for rows, logits in logit_batches(self._lm, self._ids):
                for i, row in enumerate(rows):
                    sums[row] = _kl(_log_softmax(logits[i, : self._counts[row]]), base[row])
        if not np.isfinite(sums).all():
            raise DataError("The edited model's logits are NaN.", hint="The edit is too strong.")
        tokens = sum(self._counts)
        return Divergence(sum(sums) / tokens, tokens, self.protocol, tuple(sums), self._counts)

    def _log_probs(self) -> list[Tensor]:
        out = [torch.empty(0)] * len(self._ids)
        for rows, logits in logit_batches(self._lm, self._ids):
            for i, row in enumerate(rows):
                out[row] = _log_softmax(logits[i, : self._counts[row]])
        return out


def kl_to_base(
    lm: LanguageModel, edit: Applicable, texts: Sequence[str], tokens: int = MIN_TOKENS
) -> Divergence:
    """The KL of one edit's model to the base; see `KLMeter`, which is for many."""
    return KLMeter(lm, texts, tokens).measure(edit)


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(dim=-1)


def _kl(edited: Tensor, base: Tensor) -> float:
    """Σ over positions; an impossible token contributes p ln(p/q) → 0, not 0 · ∞ = NaN."""
    terms = edited.exp() * (edited - base)
    terms = torch.where(edited == -torch.inf, torch.zeros_like(terms), terms)
    return float(terms.sum(dim=-1).clamp(min=0.0).double().sum())
