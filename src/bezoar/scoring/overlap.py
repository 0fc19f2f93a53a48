"""Overlap with a reference, diversity, repetition and length of texts.

Low toxicity is trivially reached by gibberish and by loops; these numbers tell it apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bezoar.errors import ConfigError, DataError
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import mean_interval
from bezoar.stats.intervals import Interval


def f1(predicted: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Harmonic mean of precision and recall of the *multisets* of tokens; 0 if either is empty."""
    shared = sum((Counter(predicted) & Counter(gold)).values())
    return 2.0 * shared / (len(predicted) + len(gold)) if shared else 0.0


def distinct_n(tokens: Sequence[Hashable], n: int) -> float:
    """Distinct n-grams over all n-grams; 1.0 where there are fewer than n tokens."""
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def repetition(tokens: Sequence[Hashable], n: int = 4) -> float:
    """Share of n-grams that occurred before in the same text: 1 − distinct-n."""
    return 1.0 - distinct_n(tokens, n)


@dataclass(frozen=True, slots=True)
class Overlap(Result):
    """Mean F1 of greedy continuations against the real ones, and the F1 of each text."""

    value: float
    protocol: str
    per_text: tuple[float, ...]

    def interval(self, resamples: int = 10_000, seed: int = 0) -> Interval:
        """The value with its bootstrap interval by text; needs at least two."""
        return mean_interval(np.array(self.per_text), resamples=resamples, seed=seed)


def continuation_f1(
    lm: LanguageModel,
    texts: Sequence[str],
    *,
    prompt_tokens: int = 32,
    new_tokens: int = 20,
    mode: Literal["correct", "code"] = "correct",
    batch_tokens: int = 16384,
) -> Overlap:
    """F1 between a greedy continuation of each text's head and what really followed.

    Lee et al. (A.6): the first ``prompt_tokens`` are the prompt, the next ``new_tokens`` the gold.
    ``mode="code"`` leaves the prompt's tokens in both, as the reference does, which lifts F1.

    Args:
        texts: neutral texts; those with no token after the prompt are left out.

    Raises:
        ConfigError: if the mode is unknown.
        DataError: if no text is long enough.
    """
    if mode not in ("correct", "code"):
        raise ConfigError(f"mode must be 'correct' or 'code', not {mode!r}.")
    pairs = zip(texts, lm.encode(texts), strict=True)
    kept = [(text, ids) for text, ids in pairs if len(ids) > prompt_tokens]
    if not kept:
        raise DataError(f"No text is longer than {prompt_tokens} tokens.")
    generations = generate(
        lm,
        [text for text, _ in kept],
        Decoding(max_new_tokens=new_tokens),
        max_prompt_tokens=prompt_tokens,
        batch_tokens=batch_tokens,
    )
    values = []
    for index, tokens in zip(generations.prompt_index, generations.tokens, strict=True):
        ids = kept[index][1]
        head = ids[:prompt_tokens] if mode == "code" else []
        gold = ids[prompt_tokens : prompt_tokens + new_tokens]
        values.append(f1([*head, *tokens], [*head, *gold]))
    code = "-code" if mode == "code" else ""
    protocol = f"f1-{prompt_tokens}-{new_tokens}{code}@{len(values)}"
    return Overlap(sum(values) / len(values), protocol, tuple(values))
