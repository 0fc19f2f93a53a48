"""Measure one edit: what it makes the model write, how that scores, and what it costs.

An `Evaluator` holds everything that all edits share (prompts, scorers with their caches, neutral
text cut once, the base's distributions), so that one more edit costs little and is measured on
exactly the same rows, with the same random streams. A `Measurement` keeps every row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from bezoar.corpus import NeutralText, Prompts
from bezoar.edits import Edit
from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.evaluate.cost import PerplexityMeter, everywhere
from bezoar.evaluate.inputs import named_prompts, neutral_texts, protocol_of, scorers_of
from bezoar.evaluate.protocols import Protocol
from bezoar.models import Generations, LanguageModel, generate
from bezoar.runs.progress import Progress
from bezoar.runs.results import Result
from bezoar.scoring import (
    CachedScorer,
    CapabilityResult,
    Divergence,
    Group,
    KLMeter,
    Overlap,
    PerplexityResult,
    Scorer,
    SideEffect,
    SideEffectMeter,
    Task,
    aggregate,
    applied,
    continuation_f1,
    distinct_n,
    repetition,
    score_texts,
)

Part = Literal["toxicity", "perplexity", "kl", "f1", "side_effects", "tasks"]
PARTS: tuple[Part, ...] = ("toxicity", "perplexity", "kl", "f1", "side_effects", "tasks")
NULL_PARTS: tuple[Part, ...] = ("toxicity", "perplexity")
"""What a null draw needs: the claim it could have won, and the cost at which."""


@dataclass(frozen=True, slots=True, repr=False)
class Measurement(Result):
    """One variant, row by row. Parts that were not measured are empty.

    Attributes:
        name: of the edit.
        protocol: id of the protocol.
        prompts_key: hash of the prompts; only measurements of equal keys are compared.
        prompts: name of their set.
        per_prompt: metric -> one value a prompt. "toxicity" is the protocol's statistic by the
            first scorer, "toxicity:NAME" by another; further statistics of the first under their
            names; text checks "distinct_2", "repetition_4", "length" (tokens), "empty".
        texts: continuations `[prompt][sample]`, unmasked.
        text_scores: their toxicity by the first scorer, `[prompt][sample]`.
        perplexity, kl, f1, side_effects, tasks: see `bezoar.scoring`.
    """

    name: str
    protocol: str
    prompts_key: str
    per_prompt: dict[str, tuple[float, ...]]
    prompts: str = ""
    texts: tuple[tuple[str, ...], ...] = ()
    text_scores: tuple[tuple[float, ...], ...] = ()
    perplexity: PerplexityResult | None = None
    kl: Divergence | None = None
    f1: Overlap | None = None
    side_effects: tuple[SideEffect, ...] = ()
    tasks: tuple[CapabilityResult, ...] = ()


class Evaluator:
    """Measures edits of one model under one protocol. Make it outside of any edit.

    Args:
        lm: the model.
        prompts: exactly as many as the protocol says.
        protocol: or its id; see `bezoar.evaluate.get_protocol`.
        scorers: or their specs (`load_scorer`); the first reports, others give a second opinion.
        neutral: texts for perplexity, KL and F1; without any, these are not measured. F1 takes
            those that go on for 20 tokens after a prompt of 32.
        kl_texts, kl_tokens: at most so many neutral texts for the KL, so many tokens of each.
        f1_texts: at most so many for F1, if the protocol asks for it.
        groups: for the side effects (`bezoar.scoring.GROUPS`); none by default.
        tasks: capability tasks.
        cache: folder for scores; None keeps them in memory.
        prompts_name: of the set of prompts, to stand beside the numbers; that of `Prompts` if None.

    Raises:
        ConfigError: if the prompts are not as many as the protocol says, scorers share a name, or
            the neutral text is tokenised where the protocol takes it raw, or raw for tokenised.
        DataError: if there is too little text for an interval.
    """

    def __init__(
        self,
        lm: LanguageModel,
        prompts: Sequence[str] | Prompts,
        protocol: Protocol | str,
        scorers: Sequence[Scorer | str],
        neutral: Sequence[str] | NeutralText = (),
        *,
        kl_texts: int = 64,
        kl_tokens: int = 32,
        f1_texts: int = 200,
        groups: Sequence[Group] = (),
        tasks: Sequence[Task] = (),
        cache: str | Path | None = None,
        prompts_name: str | None = None,
    ) -> None:
        self.prompts_name, prompts = named_prompts(prompts, prompts_name)
        protocol, scorers = protocol_of(protocol), scorers_of(scorers)
        neutral = neutral_texts(neutral, protocol)
        if len(prompts) != protocol.prompts_n:
            raise ConfigError(
                f"{protocol.id} takes {protocol.prompts_n} prompts; {len(prompts)} were given.",
                hint=f"Use get_protocol({protocol.name!r}, prompts={len(prompts)}).",
            )
        if not scorers or len({scorer.name for scorer in scorers}) < len(scorers):
            raise ConfigError("Give at least one scorer, each with a name of its own.")
        if len(prompts) < 2 or len(neutral) == 1:
            raise DataError(
                f"{len(prompts)} prompts, {len(neutral)} neutral texts: nothing to resample.",
                hint="Intervals need at least two of each (cut one long text into paragraphs).",
            )
        self.lm = lm
        self.protocol = protocol
        self.prompts = prompts
        self.scorers = tuple(
            s if isinstance(s, CachedScorer) else CachedScorer(s, cache) for s in scorers
        )
        self._key = hashlib.sha256("\0".join(prompts).encode("utf-8", "surrogatepass")).hexdigest()
        self._tasks = tuple(tasks)
        # What stays in a core's cache runs a fifth faster.
        self._batch_tokens = 4096 if lm.device.type == "cpu" else 65_536
        windows = protocol.windows(lm, neutral) if neutral else None
        self._perplexity = PerplexityMeter(lm, windows) if windows is not None else None
        long = _longer_than(lm, neutral, kl_tokens - 1, kl_texts)
        kl = long if len(long) > 1 else neutral[:kl_texts]
        self._kl = KLMeter(lm, kl, kl_tokens) if neutral else None
        f1 = _longer_than(lm, neutral, 32 + 19, f1_texts) if protocol.f1 else ()
        self._f1_texts = f1 if len(f1) > 1 else ()
        self._side = SideEffectMeter(lm, groups) if groups else None

    def measure(
        self,
        edit: Edit | None,
        name: str = "",
        *,
        parts: Sequence[Part] = PARTS,
        keep_texts: bool = True,
        progress: Progress | None = None,
    ) -> Measurement:
        """Measure an edit, or the bare model (None).

        Costs (perplexity, KL, F1, side effects, tasks) are taken with the edit at *all* positions,
        also where it generates at the last one: see `everywhere`.

        Args:
            edit: what to measure.
            name: of the measurement; the edit's by default.
            parts: what to measure; parts for which the evaluator has no data are skipped.
            keep_texts: keep the continuations, not only their scores.
            progress: where to show it.
        """
        for part in parts:
            if part not in PARTS:
                raise ConfigError(f"There is no part {part!r}.", hint=did_you_mean(part, PARTS))
        per_prompt: dict[str, tuple[float, ...]] = {}
        texts: tuple[tuple[str, ...], ...] = ()
        text_scores: tuple[tuple[float, ...], ...] = ()
        if "toxicity" in parts:
            generations = self._generate(edit, progress)
            per_prompt, text_scores = self._score(generations)
            texts = tuple(tuple(row) for row in generations.texts()) if keep_texts else ()
        cost = None if edit is None else everywhere(edit)
        ppl = self._perplexity.measure(edit) if self._perplexity and "perplexity" in parts else None
        with applied(cost, self.lm):
            tasks = tuple(task.run(self.lm) for task in self._tasks) if "tasks" in parts else ()
            f1 = self._f1() if "f1" in parts and self._f1_texts else None
        return Measurement(
            name=name or ("base" if edit is None else edit.name),
            protocol=self.protocol.id,
            prompts_key=self._key,
            prompts=self.prompts_name,
            per_prompt=per_prompt,
            texts=texts,
            text_scores=text_scores if keep_texts else (),
            perplexity=ppl,
            kl=self._kl.measure(cost) if self._kl and "kl" in parts else None,
            f1=f1,
            side_effects=self._side.measure(cost) if self._side and "side_effects" in parts else (),
            tasks=tasks,
        )

    def _generate(self, edit: Edit | None, progress: Progress | None) -> Generations:
        with applied(edit, self.lm):
            return generate(
                self.lm,
                self.prompts,
                self.protocol.decoding,
                max_prompt_tokens=self.protocol.prompt_tokens,
                batch_tokens=self._batch_tokens,
                compat=self.protocol.compat,
                progress=progress,
            )

    def _score(
        self, generations: Generations
    ) -> tuple[dict[str, tuple[float, ...]], tuple[tuple[float, ...], ...]]:
        shape = (len(self.prompts), self.protocol.decoding.samples)
        texts = self._scored_texts(generations)
        values: dict[str, np.ndarray] = {}
        nested: list[np.ndarray] = []
        for number, scorer in enumerate(self.scorers):
            flat = score_texts(scorer, texts)
            scores = {name: column.reshape(shape) for name, column in flat.items()}
            nested.append(scores["toxicity"])
            headline = aggregate(self.protocol.statistic, scores, scorer.threshold)
            values[f"toxicity:{scorer.name}" if number else "toxicity"] = headline
            if number == 0:
                for name in dict.fromkeys(("mean_score", *self.protocol.also)):
                    values[name] = aggregate(name, scores, scorer.threshold)
        words = [text.split() for text in generations.text]
        checks = {
            "distinct_2": [distinct_n(row, 2) for row in words],
            "repetition_4": [repetition(row, 4) for row in words],
            "length": [float(len(row)) for row in generations.tokens],
            "empty": [float(not row) for row in words],
        }
        for name, column in checks.items():
            values[name] = np.array(column).reshape(shape).mean(axis=1)
        per_prompt = {name: tuple(column.tolist()) for name, column in values.items()}
        return per_prompt, tuple(tuple(row.tolist()) for row in nested[0])

    def _scored_texts(self, generations: Generations) -> list[str]:
        """The continuations; as in the reference's code, a prompt that was cut stays in front."""
        texts = list(generations.text)
        limit = self.protocol.prompt_tokens
        if self.protocol.compat != "lee2024" or limit is None:
            return texts
        heads = [
            self.lm.decode(ids[:limit]) if len(ids) > limit else ""
            for ids in self.lm.encode(self.prompts)
        ]
        return [heads[i] + text for i, text in zip(generations.prompt_index, texts, strict=True)]

    def _f1(self) -> Overlap:
        mode: Literal["correct", "code"] = "code" if self.protocol.compat else "correct"
        return continuation_f1(self.lm, self._f1_texts, mode=mode, batch_tokens=self._batch_tokens)


def evaluate_edit(
    lm: LanguageModel,
    edit: Edit | None,
    prompts: Sequence[str] | Prompts,
    protocol: Protocol | str,
    scorers: Sequence[Scorer | str],
    neutral: Sequence[str] | NeutralText = (),
) -> Measurement:
    """Measure one edit; an `Evaluator`, which has the same arguments, is for many."""
    return Evaluator(lm, prompts, protocol, scorers, neutral).measure(edit)


def _longer_than(
    lm: LanguageModel, texts: Sequence[str], tokens: int, limit: int
) -> tuple[str, ...]:
    found: list[str] = []
    for text in texts:
        if len(found) == limit:
            break
        if len(lm.encode([text])[0]) > tokens:
            found.append(text)
    return tuple(found)
