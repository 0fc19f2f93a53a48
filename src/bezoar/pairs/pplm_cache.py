"""Keys and values as plain tensors, and the model one token further on top of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from bezoar.errors import ModelError, UnsupportedAnatomy
from bezoar.models import Batch, LanguageModel, Site
from bezoar.models.arguments import accepted, names_argument
from bezoar.pairs.pplm_attribute import Tap

Past = list[Tensor]
"""Keys and values of each layer in turn: [row head pos d_head], keys before values."""


def read_past(lm: LanguageModel, cache: Any, longest: int) -> Past:
    """The tensors in a cache, if they are keys and values and nothing else.

    Args:
        lm: the model that filled it.
        cache: ``past_key_values``.
        longest: tokens that the text will have at most.

    Raises:
        UnsupportedAnatomy: if the past is more or less than all tokens' keys and values: states of
            a recurrence or convolution, or a window that the text outgrows.
    """
    layers = cache.layers if isinstance(cache, Cache) else ()
    past: Past = []
    for number, layer in enumerate(layers):
        kind = type(layer)
        window = layer.sliding_window if kind is DynamicSlidingWindowLayer else longest + 1
        if kind not in (DynamicLayer, DynamicSlidingWindowLayer) or layer.keys is None:
            raise _not_plain(lm, f"layer {number} keeps a {kind.__name__}")
        if window <= longest:
            raise _not_plain(
                lm, f"layer {number} forgets tokens beyond {window}, and a text takes {longest}"
            )
        past += [layer.keys, layer.values]
    if not past:
        raise _not_plain(lm, f"it keeps a {type(cache).__name__}")
    return past


def cache_of(past: Sequence[Tensor]) -> DynamicCache:
    """A cache that holds these very tensors, so that gradients reach them."""
    cache = DynamicCache()
    for keys, values in zip(past[::2], past[1::2], strict=True):
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        cache.layers.append(layer)
    return cache


def tensors(cache: DynamicCache) -> Past:
    """The keys and values that a cache of `cache_of` holds by now."""
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def _not_plain(lm: LanguageModel, why: str) -> UnsupportedAnatomy:
    return UnsupportedAnatomy(
        f"PPLM perturbs keys and values, and {lm.name!r} does not keep those of all tokens: {why}.",
        hint="Use steered pairs, which add a direction and need no cache.",
    )


@contextmanager
def without_parameter_gradients(model: nn.Module) -> Iterator[None]:
    """``requires_grad`` is off for all weights inside, and as it was after."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in wanted:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)


class Seen(NamedTuple):
    """One token read.

    Attributes:
        logits: [row d_vocab] of the next token; empty if they were not asked for.
        value: [row d] at the attribute's site.
        cache: of all tokens, this one included.
    """

    logits: Tensor
    value: Tensor
    cache: DynamicCache


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where in the texts of a batch a token stands.

    Attributes:
        mask: [row seen], over all tokens up to this one; None if none is padding.
        positions: [row 1].
    """

    mask: Int[Tensor, "row seen"] | None
    positions: Int[Tensor, "row 1"]

    @classmethod
    def end_of(cls, batch: Batch) -> Place:
        """The last token of every row of a left-padded batch."""
        return cls(batch.attention_mask if batch.padded else None, batch.position_ids[:, -1:])

    def next(self) -> Place:
        """One token on."""
        mask = self.mask if self.mask is None else nn.functional.pad(self.mask, (0, 1), value=1)
        return Place(mask, self.positions + 1)

    def take(self, rows: Bool[Tensor, " row"]) -> Place:
        """Some of the rows."""
        return Place(None if self.mask is None else self.mask[rows], self.positions[rows])


class Reader:
    """The model, one token at a time, over a past that may be perturbed.

    Args:
        lm: the model.
        site: whose values are read along the way.

    Raises:
        UnsupportedAnatomy: if the model keeps no past.
    """

    def __init__(self, lm: LanguageModel, site: Site) -> None:
        if not lm.caches:
            raise _not_plain(lm, "it keeps nothing")
        self.lm = lm
        self._tap = Tap(lm, site)
        # The logits of an expected token are not needed, unless the site lies beside them.
        self._base = lm.model if site.point == "unembed_in" else lm.anatomy.base
        self._table: Tensor | None = None

    def prompts(self, batch: Batch, longest: int) -> tuple[Tensor, Past]:
        """Logits [row d_vocab] after the prompts, and their keys and values (`read_past`)."""
        mask = batch.attention_mask if batch.padded else None
        output = self.lm.step(batch.input_ids, mask, batch.position_ids, None)
        return output.logits[:, -1], read_past(self.lm, output.past_key_values, longest)

    def tokens(self, ids: Int[Tensor, " row"], cache: DynamicCache, place: Place) -> Seen:
        """Read the next token of each row."""
        with self._tap.listening():
            output = self.lm.step(ids.unsqueeze(-1), place.mask, place.positions, cache)
        return Seen(output.logits[:, -1], self._tap.value, cache)

    def expected(
        self, p: Float[Tensor, "row d_vocab"], cache: DynamicCache, place: Place, *, more: bool
    ) -> Seen:
        """Read the expected embedding of a token; ``more`` asks for the logits after it.

        Raises:
            ModelError: if the model reads no embeddings.
        """
        model = self.lm.model if more else self._base
        table = self._embeddings()
        inputs: dict[str, Any] = {
            "inputs_embeds": (p.to(table.dtype) @ table[: p.shape[-1]]).unsqueeze(1),
            "attention_mask": place.mask,
            "past_key_values": cache,
            "use_cache": True,
        }
        if (first := self.lm.anatomy.first_position) is not None:
            inputs["position_ids"] = place.positions + first
        with self._tap.listening():
            output = model(**accepted(model, inputs))
        logits = output.logits[:, -1] if more else p[:, :0]
        return Seen(logits, self._tap.value, cache)

    def _embeddings(self) -> Float[Tensor, "d_vocab d_embed"]:
        """What each token is embedded as; some models scale what their table holds."""
        if self._table is None:
            if not names_argument(self.lm.anatomy.base, "inputs_embeds"):
                raise ModelError(
                    f"{self.lm.name!r} reads no expected embeddings (inputs_embeds).",
                    hint="Set horizon=0: the attribute is then read at the present token.",
                )
            embed = self.lm.anatomy.embed
            if type(embed) is nn.Embedding and not embed._forward_hooks:
                self._table = embed.weight.detach()
            else:
                ids = torch.arange(self.lm.d_vocab, device=self.lm.device)
                with torch.no_grad():
                    self._table = embed(ids.unsqueeze(0))[0]
        return self._table
