"""Prompts read at their last token: which tokens they are, batch by batch, and means over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bezoar.activations import plan_batches
from bezoar.errors import DataError
from bezoar.models import LanguageModel, Site
from bezoar.models.generate import prompt_ids
from bezoar.stats.bootstrap import mean_interval
from bezoar.stats.intervals import Interval


def encode_for(
    lm: LanguageModel, prompts: Sequence[str], max_tokens: int | None, new_tokens: int = 0
) -> list[list[int]]:
    """Token ids of prompts as `bezoar.models.generate` reads them.

    The first ``max_tokens`` of each; of these the last that leave room in the context for
    ``new_tokens``; an empty prompt stands as its start token.

    Raises:
        DataError: if there is no prompt.
        ConfigError: if ``max_tokens`` is below 1, or the context leaves no room for a prompt.
    """
    if not len(prompts):
        raise DataError("There is no prompt to read.", hint="Give at least one.")
    return prompt_ids(lm, prompts, new_tokens, max_tokens, "first")[0]


def batches_of(encoded: Sequence[Sequence[int]], budget_tokens: int) -> Iterator[list[int]]:
    """Row numbers of batches under a padded-token budget."""
    for batch in plan_batches([len(ids) for ids in encoded], budget_tokens):
        yield [int(row) for row in batch]


def last_values(
    lm: LanguageModel, ids: Sequence[Sequence[int]], sites: Sequence[Site]
) -> dict[Site, Tensor]:
    """The value [rows d] of each site at the last real token of each row."""
    batch = lm.batch(ids, side="right")
    last = batch.attention_mask.sum(-1) - 1
    rows = torch.arange(len(last), device=last.device)
    return lm.capture(batch, sites, reduce=lambda _, value: value[rows, last])


def over_prompts(values: np.ndarray, seed: int) -> Interval:
    """Mean over prompts with its bootstrap interval (of one prompt: the value alone)."""
    if len(values) < 2:
        return Interval(float(values[0]), float(values[0]), float(values[0]))
    return mean_interval(values, seed=seed)
