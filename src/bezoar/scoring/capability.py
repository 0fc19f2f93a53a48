"""Is the model still any good? Last words, minimal pairs and multiple choice, all by likelihood.

A continuation is scored by Σ ln p of its tokens given the context, both tokenised *together* (the
tokens past the common prefix with the context alone). Contexts that are too long lose their start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.scoring.likelihood import greedy_hits, token_nll
from bezoar.stats.bootstrap import mean_interval
from bezoar.stats.intervals import Interval

Normalise = Literal["none", "tokens", "bytes"]
Statistic = Literal["accuracy", "mass"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with its answers.

    Attributes:
        contexts: what stands before each continuation (equal ones where the question is shared;
            different ones in partial scoring, as in WinoGrande).
        continuations: what is scored, each with its leading blank.
        gold: indices of the right ones.
    """

    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    gold: tuple[int, ...]

    def __post_init__(self) -> None:
        n = len(self.continuations)
        if n < 2 or len(self.contexts) != n or not {*self.gold} <= {*range(n)} or not self.gold:
            raise DataError(
                f"A choice of {n} continuations, {len(self.contexts)} contexts and right answers"
                f" {self.gold} cannot be scored.",
                hint="Give two or more, a context each, and the index of the right one.",
            )


@dataclass(frozen=True, slots=True)
class CapabilityResult(Result):
    """Mean of the items' scores.

    Attributes:
        name: the task.
        value: share answered correctly (for ``mass``: mean probability on the right answers).
        protocol: task, items and way of measuring, such as "blimp@400/minimal-pairs".
        per_item: the score of each item, for paired comparisons.
        chance: what guessing among the answers earns; 0 where there is nothing to choose from.
        groups: what each item was made from, if items are alike; these are then resampled.
    """

    name: str
    value: float
    protocol: str
    per_item: tuple[float, ...]
    chance: float = 0.0
    groups: tuple[str, ...] = ()

    def interval(self, resamples: int = 10_000, seed: int = 0) -> Interval:
        """The value with its bootstrap interval by item, or group; needs at least two."""
        values, groups = np.array(self.per_item), self.groups or None
        return mean_interval(values, groups, resamples=resamples, seed=seed)


def last_word_accuracy(
    lm: LanguageModel, texts: Sequence[str], name: str = "last-word"
) -> CapabilityResult:
    """Share of passages whose last word greedy decoding writes, given all before it (LAMBADA).

    Raises:
        DataError: if a text has only one word.
    """
    pairs = []
    for text in texts:
        words = text.rstrip().rsplit(maxsplit=1)
        if len(words) < 2:
            raise DataError(f"A passage of {len(text)} characters has no last word to predict.")
        pairs.append((words[0], text.rstrip()[len(words[0]) :]))
    rows, starts = _encode_pairs(lm, pairs)
    hits = greedy_hits(lm, rows)
    correct = [bool(h[start - 1 :].all()) for h, start in zip(hits, starts, strict=True)]
    return _result(name, "last-word", [float(c) for c in correct])


def minimal_pairs(
    lm: LanguageModel, pairs: Sequence[tuple[str, str]], name: str = "minimal-pairs"
) -> CapabilityResult:
    """Share of (good, bad) sentences in which the good one is likelier as a whole (BLiMP).

    Each sentence follows the tokenizer's beginning-of-text token (or end-of-text, if it has no
    other), so that its first word counts as well. A tie counts one half.
    """
    rows = lm.encode([sentence for pair in pairs for sentence in pair])
    start = _start_token(lm)
    if start is not None:
        rows = [ids if ids[:1] == [start] else [start, *ids] for ids in rows]
    score = np.array([-nll.sum() for nll in token_nll(lm, [ids[: lm.context] for ids in rows])])
    margin = score[0::2] - score[1::2]
    return _result(name, "minimal-pairs", list((np.sign(margin) + 1) / 2), chance=0.5)


def multiple_choice(
    lm: LanguageModel,
    items: Sequence[Choice],
    *,
    normalise: Normalise = "none",
    statistic: Statistic = "accuracy",
    name: str = "multiple-choice",
) -> CapabilityResult:
    """Answer by the likeliest continuation.

    Args:
        items: the questions.
        normalise: divide the log-likelihood by the continuation's tokens or UTF-8 bytes.
        statistic: ``accuracy``, or ``mass``: the probability on right answers over that on all
            (TruthfulQA's MC2).

    Raises:
        ConfigError: if an option is unknown.
    """
    for given, valid in (
        (normalise, ("none", "tokens", "bytes")),
        (statistic, ("accuracy", "mass")),
    ):
        if given not in valid:
            raise ConfigError(f"There is no option {given!r}.", hint=did_you_mean(given, valid))
    pairs = [pair for i in items for pair in zip(i.contexts, i.continuations, strict=True)]
    scores = _continuation_scores(lm, pairs, normalise)
    values, begin = [], 0
    for item in items:
        own = scores[begin : begin + len(item.continuations)]
        begin += len(item.continuations)
        if statistic == "mass":
            mass = np.exp(own - own.max())
            values.append(float(mass[list(item.gold)].sum() / mass.sum()))
        else:
            values.append(float(int(own.argmax()) in item.gold))
    kind = f"choice-{normalise}" + ("-mass" if statistic == "mass" else "")
    guessed = [len({*item.gold}) / len(item.continuations) for item in items]
    return _result(name, kind, values, chance=float(np.mean(guessed)) if guessed else 0.0)


def _continuation_scores(
    lm: LanguageModel, pairs: Sequence[tuple[str, str]], normalise: Normalise
) -> np.ndarray:
    rows, starts = _encode_pairs(lm, pairs)
    scores = []
    for nll, start, (_, continuation) in zip(token_nll(lm, rows), starts, pairs, strict=True):
        own = nll[start - 1 :]
        size = {"none": 1, "tokens": len(own), "bytes": len(continuation.encode())}[normalise]
        scores.append(-own.sum() / max(size, 1))
    return np.array(scores)


def _encode_pairs(
    lm: LanguageModel, pairs: Sequence[tuple[str, str]]
) -> tuple[list[list[int]], list[int]]:
    """Tokens of context + continuation, cut to the model's context from the left, and the index of
    the first continuation token (never 0: with nothing before it a token cannot be scored)."""
    whole = lm.encode([context + continuation for context, continuation in pairs])
    heads = lm.encode([context for context, _ in pairs])
    rows, starts = [], []
    for ids, head in zip(whole, heads, strict=True):
        same = next((i for i, (a, b) in enumerate(zip(ids, head, strict=False)) if a != b), None)
        start = max(1, min(len(ids), len(head)) if same is None else same)
        cut = max(0, len(ids) - lm.context)
        rows.append(ids[cut:])
        starts.append(max(1, start - cut))
    return rows, starts


def _start_token(lm: LanguageModel) -> int | None:
    for attribute in ("bos_token_id", "eos_token_id"):
        value = getattr(lm.tokenizer, attribute, None)
        if isinstance(value, int):
            return value
    return None


def _result(name: str, kind: str, values: Sequence[float], chance: float = 0.0) -> CapabilityResult:
    if not values:
        raise DataError(f"The task {name!r} has no items.")
    per_item = tuple(float(value) for value in values)
    protocol = f"{name}@{len(per_item)}/{kind}"
    return CapabilityResult(name, float(np.mean(per_item)), protocol, per_item, chance)
