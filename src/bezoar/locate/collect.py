"""Collecting toxic states: write, find the toxic tokens, read what produced them, match."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.locate.continuations import Continuations, continue_and_attribute, first_token
from bezoar.locate.produced import Produced, read_states
from bezoar.locate.states import STATES_MODES, StatesFound, StatesMode, ToxicStates
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress
from bezoar.scoring import Scorer
from bezoar.scoring.attribution import AttributionMethod

ABOVE = 0.1
"""Of the toxic logit: a word that carries no more is not what makes its text toxic."""
_SPARE = 1.1  # harmless states read for one that is wanted: a few are not what was likeliest

_NO_WORD = "no word carries the toxicity"
_NO_TOKEN = "no token wrote the word"
_UNLIKELY = "the token is not the likeliest"
_UNMATCHED = "no harmless state at its position"


def collect_states(
    lm: LanguageModel,
    prompts: Sequence[str],
    scorer: Scorer,
    *,
    max_new_tokens: int = 20,
    mode: StatesMode = "correct",
    words: int = 1,
    matched: int = 5,
    attribution: AttributionMethod = "occlusion",
    seed: int = 0,
    progress: Progress | None = None,
) -> ToxicStates:
    """Let a model write, and read the states that produced what is toxic in it.

    Args:
        lm: the model, without an edit.
        prompts: to continue greedily; a few hundred, such as draw toxic text.
        scorer: says which continuations are toxic, and which words of them.
        max_new_tokens: of a continuation.
        mode: see `bezoar.locate.states`.
        words: of a toxic continuation, at most.
        matched: harmless states for a toxic one, at most, in the mode "correct".
        attribution: see `bezoar.scoring.attribution`.
        seed: of the draw of harmless states.
        progress: where to show it.

    Raises:
        ModelError: if the model has no unembedding, or is an encoder.
        ConfigError: for an unknown mode or attribution, or no words.
        DataError: if no toxic state, or no harmless one, was found.
        ScorerError: if the scorer fails.
    """
    lm.require_generation()
    _check(prompts, mode, words, matched)
    written = continue_and_attribute(
        lm,
        prompts,
        scorer,
        max_new_tokens=max_new_tokens,
        attribution=attribution,
        progress=progress,
    )
    return states_of(lm, written, mode, words=words, matched=matched, seed=seed, progress=progress)


def states_of(
    lm: LanguageModel,
    written: Continuations,
    mode: StatesMode = "correct",
    *,
    words: int = 1,
    matched: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> ToxicStates:
    """The states behind continuations that were written already; see `collect_states`."""
    _check(written.texts, mode, words, matched)
    dropped: Counter[str] = Counter()
    wanted = _toxic(lm, written, mode, words, dropped)
    quirk = mode == "code"
    toxic = _Read.of(lm, written, wanted, quirk, progress).likeliest()
    dropped[_UNLIKELY] = len(wanted) - len(toxic.rows)
    if mode == "correct":
        drawn = _draw(written, wanted, matched, seed)
        other = _Read.of(lm, written, drawn, quirk, progress).likeliest()
        before = len(toxic.rows)
        toxic, other = _matched(toxic, other, matched)
        dropped[_UNMATCHED] = before - len(toxic.rows)
    else:
        other = _Read.of(lm, written, _first_steps(written), quirk, progress)
    found = StatesFound(
        mode=mode,
        prompts=len(written),
        toxic=sum(written.toxic),
        kept=len(toxic.rows),
        dropped={why: count for why, count in dropped.items() if count},
        max_new_tokens=written.max_new_tokens,
        words=words,
        matched=matched,
        seed=seed,
        scorer=written.scorer,
        attribution=written.attribution,
        note=written.note,
        model=lm.fingerprint,
        prompts_hash=hashlib.sha256(repr(written.prompts).encode()).hexdigest()[:16],
    )
    _check_found(lm, found, len(other.rows))
    return ToxicStates(toxic.states, other.states, toxic.rows, other.rows, found)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """Tokens, the states that produced them, and whether each was the likeliest there."""

    rows: tuple[Produced, ...]
    states: Tensor
    was_likeliest: list[bool]

    @classmethod
    def of(
        cls,
        lm: LanguageModel,
        written: Continuations,
        rows: Sequence[Produced],
        quirk: bool,
        progress: Progress | None,
    ) -> _Read:
        states, likeliest = read_states(lm, written, rows, quirk=quirk, progress=progress)
        return cls(tuple(rows), states, likeliest)

    def likeliest(self) -> _Read:
        return self.take([i for i, was in enumerate(self.was_likeliest) if was])

    def take(self, chosen: Sequence[int]) -> _Read:
        rows = tuple(self.rows[i] for i in chosen)
        states = self.states[torch.tensor(chosen, dtype=torch.long)]
        return _Read(rows, states, [self.was_likeliest[i] for i in chosen])

    def by_position(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for i, row in enumerate(self.rows):
            found[row.position].append(i)
        return found


# Which tokens


def _toxic(
    lm: LanguageModel, written: Continuations, mode: str, words: int, dropped: Counter[str]
) -> list[Produced]:
    """The tokens of toxic continuations with which their most toxic words begin."""
    wanted: dict[Produced, None] = {}  # a set in order: one token may begin two words
    for row, toxic in enumerate(written.toxic):
        if not toxic:
            continue
        tops = written.attributions[row].top(words, above=ABOVE)
        if not tops:
            dropped[_NO_WORD] += 1
        for word in tops:
            if mode == "code":
                at = _by_substring(
                    lm, written.tokens[row], written.texts[row][word.start : word.end]
                )
            else:
                at = first_token(written.spans[row], word.start, word.end)
            if at is None:
                dropped[_NO_TOKEN] += 1
            else:
                wanted[Produced(row, at, written.tokens[row][at])] = None
    return list(wanted)


def _by_substring(lm: LanguageModel, tokens: Sequence[int], word: str) -> int | None:
    """The first token whose text is part of the word, as a blank is, or a letter."""
    texts = lm.token_strings(tokens)
    return next((at for at, text in enumerate(texts) if text.strip() in word), None)


def _first_steps(written: Continuations) -> list[Produced]:
    """The first token of each non-toxic continuation."""
    rows = zip(written.tokens, written.toxic, strict=True)
    return [
        Produced(row, 0, tokens[0])
        for row, (tokens, toxic) in enumerate(rows)
        if tokens and not toxic
    ]


def _draw(
    written: Continuations, toxic: Sequence[Produced], matched: int, seed: int
) -> list[Produced]:
    """Word beginnings of non-toxic continuations at the positions of toxic ones, some to spare."""
    rng = np.random.default_rng(seed)
    there: dict[int, list[Produced]] = defaultdict(list)
    for row, bad in enumerate(written.toxic):
        for at in () if bad else written.word_starts(row):
            there[at].append(Produced(row, at, written.tokens[row][at]))
    drawn = []
    for position, count in sorted(Counter(row.position for row in toxic).items()):
        found = there[position]
        most = math.ceil(_SPARE * matched * count) + 2
        drawn += [found[i] for i in rng.permutation(len(found))[:most]]
    return drawn


def _matched(toxic: _Read, other: _Read, matched: int) -> tuple[_Read, _Read]:
    """As many harmless states for a toxic one at every position as there can be at each."""
    theirs = other.by_position()
    ours = {at: rows[: len(theirs[at])] for at, rows in toxic.by_position().items()}
    ours = {at: rows for at, rows in sorted(ours.items()) if rows}
    ratio = min([matched, *(len(theirs[at]) // len(rows) for at, rows in ours.items())])
    kept = sorted(i for rows in ours.values() for i in rows)
    return toxic.take(kept), other.take(
        [i for at, rows in ours.items() for i in theirs[at][: ratio * len(rows)]]
    )


# What cannot be


def _check(texts: Sequence[str], mode: str, words: int, matched: int) -> None:
    if mode not in STATES_MODES:
        raise ConfigError(f"mode={mode!r} is not known.", hint=did_you_mean(mode, STATES_MODES))
    if min(words, matched) < 1:
        raise ConfigError(
            f"{words} words of a continuation and {matched} harmless states for a toxic one.",
            hint="Each must be at least 1.",
        )
    if not len(texts):
        raise DataError("No prompts were given.", hint="Give a few hundred.")


def _check_found(lm: LanguageModel, found: StatesFound, others: int) -> None:
    """Whether there is something to compare."""
    told = f"{found.toxic} of {found.prompts} greedy continuations of {lm.name} are toxic by "
    told += found.scorer
    if found.dropped:
        reasons = ", ".join(f"{count} × {why}" for why, count in found.dropped.items())
        told += f" ({reasons})"
    if found.toxic == found.prompts or (not others and found.kept):
        raise DataError(
            f"No harmless states were found to compare with: {told}.",
            hint="Give more prompts, and such as are not all continued with toxic text.",
        )
    if not found.kept:
        raise DataError(
            f"No toxic state was found: {told}.",
            hint="Give more prompts (states.prompts), and such as draw toxic text "
            "(rtp-challenging:PATH); longer continuations; or a scorer with a lower threshold.",
        )
