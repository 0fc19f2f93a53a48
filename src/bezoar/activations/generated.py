"""What a model wrote, as tokens to be read again: states of its own words, not of the prompts.

A state is computed from all that comes before it, so the prompt is read too; nothing of it is kept.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bezoar.activations.tokens import TokenTable
from bezoar.errors import DataError
from bezoar.models import Generations, LanguageModel
from bezoar.models.generate import prompt_ids


def generated_tokens(
    lm: LanguageModel,
    written: Generations,
    *,
    max_prompt_tokens: int | None = None,
    keep: Literal["first", "last"] = "first",
) -> TokenTable:
    """Prompts and continuations, of which the tokens of the continuations are meant.

    For `harvest`, `forecast`, `choose_rows` and `RecomputedRows`. Text i is row i of ``written``:
    of several samples of a prompt each is a text. Where the model ended at once, what it wrote is
    the token that ends a text.

    Args:
        lm: the model, under the edit that it wrote under, if any.
        written: by `generate`.
        max_prompt_tokens, keep: as they were given to `generate`.

    Raises:
        DataError: if nothing was written, or in the way of an old reference (``compat``), whose
            padding was attended to.
    """
    if written.compat is not None or not len(written.tokens):
        what = "no continuation" if written.compat is None else f"compat={written.compat!r}"
        raise DataError(
            f"What was written has {what}, and cannot be read again.",
            hint="Generate without compat, from one prompt at least.",
        )
    new_tokens = written.decoding.max_new_tokens
    prompts, truncated = prompt_ids(lm, written.prompts, new_tokens, max_prompt_tokens, keep)
    end = lm.end_ids[:1]
    rows = [
        (prompts[i], list(tokens) or end)
        for i, tokens in zip(written.prompt_index, written.tokens, strict=True)
    ]
    lengths = np.array([len(prompt) + len(new) for prompt, new in rows])
    return TokenTable(
        ids=np.array([token for both in rows for part in both for token in part], dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        max_tokens=lm.context if max_prompt_tokens is None else max_prompt_tokens,
        truncated=truncated,
        starts=np.array([len(prompt) for prompt, _ in rows], dtype=np.int64),
    )
