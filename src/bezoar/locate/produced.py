"""Reading the states that produced given tokens, in one pass over prompt and continuation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.activations import plan_batches
from bezoar.locate.continuations import Continuations
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import SILENT, Progress
from bezoar.runs.results import Result

_BUDGET = 8192  # padded tokens a batch
_SITE = Site(None, "unembed_in")


@dataclass(frozen=True, slots=True)
class Produced(Result):
    """A token of a continuation: of which prompt, where in the continuation, its id."""

    prompt: int
    position: int
    token: int


def read_states(
    lm: LanguageModel,
    written: Continuations,
    wanted: Sequence[Produced],
    *,
    quirk: bool = False,
    progress: Progress | None = None,
) -> tuple[Float[Tensor, "n d_model"], list[bool]]:
    """The state that produced each token: what the unembedding read one position before it.

    Args:
        lm: the model, without an edit.
        written: what it wrote.
        wanted: which tokens.
        quirk: read the first step of a continuation at position 0 of its prompt.
        progress: where to show it.

    Returns:
        The states, float32 on the CPU, and whether the likeliest token of each is the one that was
        written.
    """
    if not wanted:
        return torch.zeros(0, lm.d_model), []
    by_prompt: dict[int, list[int]] = {}
    for row, token in enumerate(wanted):
        by_prompt.setdefault(token.prompt, []).append(row)
    prompts = list(by_prompt)
    texts = [_read(written, i, [wanted[row].position for row in by_prompt[i]]) for i in prompts]
    states = torch.zeros(len(wanted), lm.d_model)
    likeliest = torch.zeros(len(wanted), dtype=torch.long)
    plan = plan_batches([len(ids) for ids in texts], _BUDGET)
    with (progress or SILENT).task("Reading states", len(texts), unit="texts") as advance:
        for chosen in plan:
            batch = lm.batch([texts[i] for i in chosen])
            site = lm.site(_SITE)
            read = lm.capture(batch, [site])[site]
            rows = [by_prompt[prompts[i]] for i in chosen]
            flat = [row for some in rows for row in some]
            text = [k for k, some in enumerate(rows) for _ in some]
            at = [_place(written, wanted[row], quirk) for row in flat]
            picked = read[text, at]
            states[flat] = picked.float().cpu()
            with torch.no_grad():
                likeliest[flat] = lm.unembed(picked).argmax(-1).cpu()
            advance(len(chosen))
    tokens = torch.tensor([token.token for token in wanted], dtype=torch.long)
    return states, (likeliest == tokens).tolist()


def _read(written: Continuations, prompt: int, positions: Sequence[int]) -> list[int]:
    """The prompt and what was written before the last of the wanted tokens."""
    return [*written.prompts[prompt], *written.tokens[prompt][: max(positions)]]


def _place(written: Continuations, token: Produced, quirk: bool) -> int:
    if quirk and token.position == 0:
        return 0
    return len(written.prompts[token.prompt]) + token.position - 1
