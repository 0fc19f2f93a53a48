"""One token of PPLM: the objective of a perturbed past, its gradient, and the steps along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bezoar.interrupts import check
from bezoar.models import Batch
from bezoar.pairs.pplm_attribute import Attribute, RunningPool
from bezoar.pairs.pplm_cache import Past, Place, Reader, cache_of, tensors
from bezoar.pairs.pplm_settings import PPLM

_SMALL = 1e-15  # beside the norm of a gradient, as in the authors' code


class Measured(NamedTuple):
    """What a past does.

    Attributes:
        log_p: [row] log p(toxic | x̄), the states of the horizon included.
        kl: [row] KL(p_pert ‖ p_unpert) of the next token, in nats.
    """

    log_p: Tensor
    kl: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A batch of texts, each at its latest token x_t; the past is what came before.

    Attributes:
        ids: [row] the tokens x_t.
        place: where they stand.
        logits: [row d_vocab] of the plain model after x_t, in float32 or wider.
        clean: keys and values of the plain model, those of x_t included.
        pool: the plain model's states before x_t.
        value: [row d] the plain model's state at x_t.
    """

    reader: Reader
    attribute: Attribute
    settings: PPLM
    ids: Int[Tensor, " row"]
    place: Place
    logits: Float[Tensor, "row d_vocab"]
    clean: Past
    pool: RunningPool
    value: Float[Tensor, "row d"]

    @classmethod
    def at_end_of(
        cls, batch: Batch, reader: Reader, attribute: Attribute, settings: PPLM
    ) -> tuple[Moment, Past]:
        """The last token of left-padded prompts, and the past before it."""
        longest = batch.input_ids.shape[1] + settings.length + settings.horizon
        logits, clean = reader.prompts(batch, longest)
        states = reader.lm.capture(batch, [attribute.site])[attribute.site]
        moment = cls(
            reader,
            attribute,
            settings,
            batch.input_ids[:, -1],
            Place.end_of(batch),
            _wide(logits),
            clean,
            attribute.pool(states[:, :-1], batch.attention_mask[:, :-1]),
            states[:, -1],
        )
        return moment, [tensor[:, :, :-1] for tensor in clean]

    def next(self, chosen: Int[Tensor, " row"]) -> Moment:
        """The moment after one more token a row."""
        place = self.place.next()
        seen = self.reader.tokens(chosen, cache_of(self.clean), place)
        return replace(
            self,
            ids=chosen,
            place=place,
            logits=_wide(seen.logits),
            clean=tensors(seen.cache),
            pool=self.pool.add(self.value),
            value=seen.value,
        )

    def take(self, rows: Bool[Tensor, " row"]) -> Moment:
        """Some of the texts."""
        return replace(
            self,
            ids=self.ids[rows],
            place=self.place.take(rows),
            logits=self.logits[rows],
            clean=[tensor[rows] for tensor in self.clean],
            pool=self.pool.take(rows),
            value=self.value[rows],
        )

    def read(self, past: Past) -> tuple[Past, Float[Tensor, "row d_vocab"]]:
        """The past with x_t read on top of it, and the logits after that."""
        seen = self.reader.tokens(self.ids, cache_of(past), self.place)
        return tensors(seen.cache), _wide(seen.logits)

    def measure(self, past: Sequence[Tensor]) -> Measured:
        """The two terms of the objective, with gradients to ``past`` where those are on."""
        released = self.settings.mode == "code"
        seen = self.reader.tokens(self.ids, cache_of(past), self.place)
        pool = self.pool.add(seen.value.detach() if released else seen.value)
        log_p = _wide(seen.logits).log_softmax(-1)
        expectation = log_p.exp()
        kl = (expectation * (log_p - self.logits.log_softmax(-1))).sum(-1)
        cache, place = cache_of(self.clean) if released else seen.cache, self.place
        for ahead in range(1, self.settings.horizon + 1):
            place = place.next()
            more = ahead < self.settings.horizon and not released
            seen = self.reader.expected(expectation, cache, place, more=more)
            pool, cache = pool.add(seen.value), seen.cache
            if more:
                expectation = _wide(seen.logits).softmax(-1)
        return Measured(self.attribute.log_p(pool.pooled), kl)

    def gradient(self, past: Past) -> Past:
        """Of ``Σ_row −log p + kl_scale · KL``; one row's past moves no other row's terms."""
        leaves = [tensor.detach().requires_grad_() for tensor in past]
        with torch.enable_grad():
            measured = self.measure(leaves)
            loss = (self.settings.kl_scale * measured.kl - measured.log_p).sum()
            return list(torch.autograd.grad(loss, leaves, materialize_grads=True))

    def perturb(self, past: Past) -> Past:
        """H + ΔH after all iterations. A text of one token has no past to move."""
        settings = self.settings
        if not past[0].shape[2]:
            return past
        past, weights = list(past), self._weights(past[0])
        for _ in range(settings.iterations):
            check()
            gradients = [weights * gradient for gradient in self.gradient(past)]
            for layer in range(0, len(past), 2):
                both = gradients[layer : layer + 2]
                squares = [_wide(part).square().sum((1, 2, 3)) for part in both]
                norm = torch.stack(squares).sum(0).sqrt() + _SMALL
                step = (settings.step_size / norm**settings.gamma).view(-1, 1, 1, 1)
                for offset, part in enumerate(both):
                    past[layer + offset] = (past[layer + offset] - step * part).to(part.dtype)
        return past

    def _weights(self, keys: Tensor) -> Float[Tensor, "row 1 past 1"]:
        """How far each token of the past may move: 1, less with its age, 0 out of the window."""
        rows, _, length, _ = keys.shape
        window, mask = self.settings.window, self.place.mask
        real = keys.new_ones(rows, length) if mask is None else mask[:, :length].to(keys)
        weights = real
        if window:
            order, total = real.cumsum(1) - 1, real.sum(1, keepdim=True)
            age = total - 1 - order
            if self.settings.mode == "code":
                age = torch.where(total > window, window - 1 - order, 0)
            share = (window - age) / window if self.settings.decay else torch.ones_like(age)
            weights = real * share * ((age >= 0) & (age < window))
        return weights[:, None, :, None]


def _wide(tensor: Tensor) -> Tensor:
    """In float32, or as wide as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
