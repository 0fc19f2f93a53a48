"""Forward passes over a plan, which survive running out of memory by halving what is left of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from bezoar.activations.batching import BatchPlan
from bezoar.activations.pooling import Pooler, Pooling, pooler
from bezoar.activations.tokens import TokenTable
from bezoar.errors import ModelError
from bezoar.models import Batch, LanguageModel, Site

Consume = Callable[[Site, Tensor, Pooler], Tensor]
"""Takes the values [batch pos d] of a site as they pass, and what pools them; what it returns is
kept until the pass ends, and all memory that it is a view of."""

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@dataclass(frozen=True, slots=True)
class Pass:
    """One batch that has run: its number in ``plan``, its texts, and what was kept of each site."""

    number: int
    texts: Sequence[int]
    values: dict[Site, Tensor]
    plan: BatchPlan


def forward_passes(
    lm: LanguageModel,
    table: TokenTable,
    plan: BatchPlan,
    sites: Sequence[Site],
    pooling: Pooling,
    consume: Consume,
    *,
    start: int = 0,
    replanned: Callable[[int, BatchPlan], None] | None = None,
) -> Iterator[Pass]:
    """Run the batches of a plan from number ``start`` on.

    Where memory does not suffice for a batch, it and all after it are halved; ``replanned`` is
    told from which number on, before anything runs under the new plan.

    Raises:
        ModelError: if memory does not suffice for a single text.
    """
    number = start
    while number < len(plan):
        texts = plan[number].tolist()
        values = _try(lm, table, texts, sites, pooling, consume)
        if values is not None:
            yield Pass(number, texts, values, plan)
            number += 1
            continue
        if len(texts) == 1:
            raise ModelError(
                f"Text {texts[0]} of {plan.lengths[texts[0]]} tokens does not fit into memory.",
                hint="Cut texts with max_tokens, or use a smaller dtype or another device.",
            )
        plan = plan.halved(number)
        if replanned is not None:
            replanned(number, plan)


def _try(
    lm: LanguageModel,
    table: TokenTable,
    texts: list[int],
    sites: Sequence[Site],
    pooling: Pooling,
    consume: Consume,
) -> dict[Site, Tensor] | None:
    """The kept values of one batch, or None if memory ran out."""
    try:
        batch = lm.batch(table.rows(texts))
        pool = pooler(_meant(batch, table, texts), pooling)
        return lm.capture(batch, sites, reduce=lambda site, value: consume(site, value, pool))
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not ran_out_of_memory(error):
            raise
    # Only here, where the error no longer holds the frames of the pass, can its memory go.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _meant(batch: Batch, table: TokenTable, texts: list[int]) -> Bool[Tensor, "batch pos"]:
    """Where a batch, padded on the right, has tokens of which something is kept."""
    if table.starts is None:
        return batch.mask
    starts = torch.from_numpy(table.starts[texts]).to(batch.mask.device)
    return batch.mask & (torch.arange(batch.mask.shape[1], device=starts.device) >= starts[:, None])


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or on the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _NO_MEMORY)
