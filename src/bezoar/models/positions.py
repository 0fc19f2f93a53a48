"""From which number a model counts the positions of a text."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from bezoar.models.arguments import accepted, names_argument
from bezoar.models.trace import close, first_tensor


@torch.no_grad()
def find_first_position(model: nn.Module, input_ids: Tensor, plain: Tensor | None) -> int | None:
    """The position id of a text's first token, or None if positions are not to be passed.

    Most models count from 0. RoBERTa counts from one past its padding index, and a call that says
    otherwise gives other numbers without a word: so it is tried.

    Args:
        model: the model.
        input_ids: [1 pos] ids.
        plain: what the model wrote for them without being told positions.
    """
    if not names_argument(model, "position_ids"):
        return None
    counted = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
    for first in (0, *_after_padding(model.modules())):
        arguments = {"input_ids": input_ids, "position_ids": counted + first, "use_cache": False}
        told = first_tensor(model(**accepted(model, arguments)))
        if told is not None and close(told.detach().float().cpu(), plain, 1e-4):
            return first
    return None


def _after_padding(modules: Iterable[nn.Module]) -> list[int]:
    tables = (m.padding_idx for m in modules if isinstance(m, nn.Embedding))
    return sorted({index + 1 for index in tables if index is not None})
