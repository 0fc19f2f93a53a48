"""Continue prompts: batched by length, left-padded, sampled from streams that pair across edits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from bezoar.errors import ConfigError, did_you_mean, several
from bezoar.models.batch import Batch
from bezoar.models.generations import Decoding, Generations
from bezoar.models.language_model import LanguageModel
from bezoar.models.sampling import choose, uniforms
from bezoar.runs.progress import SILENT, Progress

COMPATS = ("lee2024",)


def generate(
    lm: LanguageModel,
    prompts: Sequence[str],
    decoding: Decoding,
    *,
    max_prompt_tokens: int | None = None,
    keep: Literal["first", "last"] = "first",
    batch_tokens: int = 16384,
    compat: str | None = None,
    on_batch: Callable[[Sequence[int]], None] | None = None,
    progress: Progress | None = None,
) -> Generations:
    """Continue every prompt; a prompt's continuations do not depend on the other prompts.

    Args:
        lm: the model; edits and logits processors in force apply.
        prompts: an empty prompt is read as the beginning-of-text (or end-of-text) token.
        decoding: how tokens are chosen.
        max_prompt_tokens: cut longer prompts to so many tokens.
        keep: which end of a prompt ``max_prompt_tokens`` keeps. A prompt that leaves no room in the
            model's context keeps its last tokens in any case.
        batch_tokens: padded tokens a batch, new ones included.
        compat: ``"lee2024"`` imitates the reference of Lee et al. 2024: all prompts padded with
            end-of-text to one length and no mask, so that padding is attended to.
        on_batch: told before each batch which prompts, by number, its rows continue, so that a hook
            can treat them differently. Several samples of a prompt are neighbouring rows.
        progress: where to show it.

    Raises:
        ModelError: if the model has no unembedding, or reads in both directions.
        ConfigError: if ``compat`` is unknown, ``max_prompt_tokens`` is below 1, or the context
            leaves no room for a prompt.
        DataError: if one string is given instead of several.
    """
    prompts = several(prompts, "prompts")
    lm.require_generation()
    if compat is not None and compat not in COMPATS:
        raise ConfigError(f"Unknown compat {compat!r}.", hint=did_you_mean(compat, COMPATS))
    ids, truncated = prompt_ids(lm, prompts, decoding.max_new_tokens, max_prompt_tokens, keep)
    width = max(map(len, ids), default=0) if compat else None
    found: dict[tuple[int, int], list[int]] = {}
    total = len(prompts) * decoding.samples
    with (progress or SILENT).task("Generating", total, unit="texts") as advance:
        for job in _plan([len(row) for row in ids], decoding, batch_tokens, width):
            streams = _streams(decoding, prompts, job)
            batch = lm.batch([ids[i] for i in job.prompts], side="left", length=width)
            if on_batch is not None:
                on_batch(job.prompts)
            tokens = _continue(
                lm, batch, streams, decoding, len(job.samples), masked=compat is None
            )
            found.update(zip(job.rows, tokens, strict=True))
            advance(len(tokens))
    keys = sorted(found)
    return Generations(
        prompts=tuple(prompts),
        prompt_index=tuple(i for i, _ in keys),
        sample=tuple(s for _, s in keys),
        text=tuple(continuation(lm, ids[i], found[i, s]) for i, s in keys),
        tokens=tuple(tuple(found[key]) for key in keys),
        decoding=decoding,
        truncated=truncated,
        compat=compat,
    )


def prompt_ids(
    lm: LanguageModel,
    prompts: Sequence[str],
    new_tokens: int,
    limit: int | None,
    keep: Literal["first", "last"],
) -> tuple[list[list[int]], int]:
    """Prompt tokens within their limit and the context, and how many prompts were cut.

    This is the one rule for prompts that are too long: what is read at a prompt's end (the lens,
    attributions, comparisons) is read where `generate` goes on from.

    Args:
        lm: the model.
        prompts: texts; an empty one stands as its start token.
        new_tokens: which the context has to leave room for.
        limit: cut longer prompts to so many tokens.
        keep: which end of a prompt ``limit`` keeps; for the context's sake it is the last tokens.

    Raises:
        ConfigError: if ``limit`` is below 1 or the context leaves no room for a prompt.
    """
    if limit is not None and limit < 1:
        raise ConfigError(
            f"Prompts cut to {limit} tokens say nothing.",
            hint="Keep at least one; None keeps all that the context holds.",
        )
    room = lm.context - new_tokens
    if room < 1:
        raise ConfigError(
            f"{new_tokens} new tokens leave no room for a prompt: the model's context "
            f"is {lm.context}.",
            hint="Lower max_new_tokens.",
        )
    rows: list[list[int]] = []
    truncated = 0
    for row in lm.encode(prompts):
        cut = row
        if limit is not None and len(row) > limit:
            cut = row[:limit] if keep == "first" else row[-limit:]
        cut = cut[-room:] or [lm.start_id]
        truncated += len(cut) < len(row)
        rows.append(cut)
    return rows, truncated


@dataclass(frozen=True, slots=True)
class _Job:
    """One batch: prompts of like length, and which samples of each."""

    prompts: list[int]
    samples: range

    @property
    def rows(self) -> list[tuple[int, int]]:
        return [(i, s) for i in self.prompts for s in self.samples]


def _plan(lengths: list[int], decoding: Decoding, budget: int, width: int | None) -> Iterator[_Job]:
    """Longest prompts first, so that memory peaks at the start; samples split where they must."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    start = 0
    while start < len(order):
        row = (width or lengths[order[start]]) + decoding.max_new_tokens
        rows = max(1, budget // row)
        together = max(1, rows // decoding.samples)
        prompts = order[start : start + together]
        for first in range(0, decoding.samples, rows):
            yield _Job(prompts, range(first, min(first + rows, decoding.samples)))
        start += together


def _streams(decoding: Decoding, prompts: Sequence[str], job: _Job) -> np.ndarray:
    """Uniform numbers [row step], each row's from its own prompt and sample."""
    steps = decoding.max_new_tokens
    return np.stack([uniforms(decoding.seed, prompts[i], s, steps) for i, s in job.rows])


@torch.no_grad()
def _continue(
    lm: LanguageModel,
    batch: Batch,
    streams: np.ndarray,
    decoding: Decoding,
    samples: int,
    *,
    masked: bool,
) -> list[list[int]]:
    """New tokens of [prompt × sample] rows; the prompts are read once for all their samples."""
    pos = batch.input_ids.shape[1]
    if not masked:
        ones = torch.ones_like(batch.attention_mask)
        batch = Batch(batch.input_ids, ones, torch.arange(pos, device=lm.device).expand_as(ones))
    u = torch.from_numpy(streams).to(lm.device)
    stepper = _Stepper(lm, batch)
    logits = stepper.logits.repeat_interleave(samples, 0)
    if samples > 1:
        stepper.repeat(samples)
    rows, steps = logits.shape[0], decoding.max_new_tokens
    ids = torch.empty(rows, pos + steps, dtype=torch.long, device=lm.device)
    ids[:, :pos] = batch.input_ids.repeat_interleave(samples, 0)
    ends = torch.tensor(lm.end_ids, device=lm.device)
    running = torch.ones(rows, dtype=torch.bool, device=lm.device)
    lengths = torch.zeros(rows, dtype=torch.long, device=lm.device)
    for step in range(steps):
        chosen = choose(lm.process(ids[:, : pos + step], logits), u[:, step], decoding)
        running &= ~torch.isin(chosen, ends)
        lengths += running
        ids[:, pos + step] = chosen
        if step + 1 == steps or not running.any():
            break
        logits = stepper(chosen)
    new = ids[:, pos:].tolist()
    return [row[:length] for row, length in zip(new, lengths.tolist(), strict=True)]


class _Stepper:
    """The model with a growing cache: reads a batch once, then one token a row at a time.

    A model that keeps no cache reads all tokens again at every step.

    Attributes:
        logits: [row d_vocab] at the last position of the batch.
    """

    def __init__(self, lm: LanguageModel, batch: Batch) -> None:
        self._lm = lm
        # Without padding no mask is needed, and leaving it out is faster at every step.
        self._mask = batch.attention_mask if batch.padded else None
        self._positions = batch.position_ids[:, -1:]
        self._cache: Any = None
        self._seen = (batch.input_ids[:, :0], batch.position_ids[:, :0])
        self.logits = self._forward(batch.input_ids, batch.position_ids)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits [row d_vocab] after one more token a row."""
        self._positions = self._positions + 1
        if self._mask is not None:
            self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        return self._forward(tokens.unsqueeze(-1), self._positions)

    def repeat(self, times: int) -> None:
        """Continue every row ``times`` times."""
        if self._lm.caches:
            # not batch_repeat_interleave, which the cache of a recurrence lacks
            rows = torch.arange(self._positions.shape[0], device=self._positions.device)
            self._cache.reorder_cache(rows.repeat_interleave(times))
        ids, positions = (seen.repeat_interleave(times, 0) for seen in self._seen)
        self._seen = (ids, positions)
        self._positions = self._positions.repeat_interleave(times, 0)
        if self._mask is not None:
            self._mask = self._mask.repeat_interleave(times, 0)

    def _forward(self, input_ids: Tensor, position_ids: Tensor) -> Tensor:
        if self._lm.caches:
            output = self._lm.step(input_ids, self._mask, position_ids, self._cache)
            self._cache = output.past_key_values
            return output.logits[:, -1]
        ids, positions = self._seen
        ids, positions = torch.cat([ids, input_ids], 1), torch.cat([positions, position_ids], 1)
        self._seen = (ids, positions)
        return self._lm.step(ids, self._mask, positions, None).logits[:, -1]


def continuation(lm: LanguageModel, prompt: list[int], new: list[int]) -> str:
    """The text that ``new`` adds. Some tokenizers drop the blank of a text's first token, so the
    tokens are read after the prompt's last ones."""
    before = lm.decode(prompt[-4:])
    after = lm.decode([*prompt[-4:], *new])
    return after[len(before) :] if after.startswith(before) else lm.decode(new)
