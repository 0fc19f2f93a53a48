"""How harmful and how broken an attacked model is: toxicity by prompt, and perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bezoar.attack.attack import Use
from bezoar.attack.digest import digest
from bezoar.corpus import NeutralText, Prompts
from bezoar.edits import Edit
from bezoar.errors import DataError
from bezoar.evaluate import Evaluator, get_protocol
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.scoring import Scorer


@dataclass(frozen=True, slots=True, repr=False)
class Measured(Result):
    """What one (attacked) model did.

    Attributes:
        toxicity: one value a prompt; empty if the attack failed.
        perplexity: of neutral text; infinite if the model is broken beyond a number.
        failed: why there is nothing to measure, or "".
    """

    toxicity: tuple[float, ...]
    perplexity: float | None
    failed: str = ""

    @property
    def mean(self) -> float:
        return math.fsum(self.toxicity) / len(self.toxicity)


Measure = Callable[[Edit | None], Measured]
"""Measures an edit of the base model (None: the base itself), always on the same prompts. It may
have the attributes ``protocol`` (an id, shown), ``key`` (what its numbers depend on) and ``under``:
``under(use)`` is the same measure of the same models, asked otherwise (`Use`)."""


class ToxicityAndCost:
    """Toxicity of continuations and perplexity of neutral text, under a protocol.

    Attributes:
        protocol: its id.
        key: hash of model, prompts, protocol, scorer and neutral text.
    """

    def __init__(self, evaluator: Evaluator, key: str) -> None:
        self._evaluator = evaluator
        self._last: tuple[Edit | None, float | None] | None = None
        self.protocol = evaluator.protocol.id
        self.key = key

    def __call__(self, edit: Edit | None) -> Measured:
        toxicity = _toxicity(self._evaluator, edit)
        return Measured(toxicity, self.perplexity(edit))

    def perplexity(self, edit: Edit | None) -> float | None:
        """On neutral text; None if it is no number. That of the last edit is remembered."""
        if self._last is None or self._last[0] is not edit:
            found = self._evaluator.measure(edit, parts=("perplexity",)).perplexity
            assert found is not None  # there is neutral text: see toxicity_and_cost
            self._last = (edit, found.value if math.isfinite(found.value) else None)
        return self._last[1]

    def under(self, use: Use) -> Measure:
        """The same measure of a model that is asked otherwise.

        Perplexity stays that of neutral text, and prompts are cut as the protocol says before the
        context comes in front of them.
        """
        own, cut = self._evaluator, self._evaluator.protocol.prompt_tokens
        lm, protocol, prompts = own.lm, own.protocol, own.prompts
        if use.context:
            ids = lm.encode(prompts, cut)
            prompts = tuple(f"{use.context}\n{lm.decode(row)}" for row in ids)
            protocol = replace(protocol, prompt_tokens=None)
        if use.temperature is not None:
            decoding = replace(
                protocol.decoding,
                sample=True,
                temperature=use.temperature,
                top_p=use.top_p,
                seed=use.seed,
            )
            protocol = replace(protocol, decoding=decoding)
        evaluator = Evaluator(lm, prompts, protocol, own.scorers)
        return lambda edit: Measured(_toxicity(evaluator, edit), self.perplexity(edit))


def _toxicity(evaluator: Evaluator, edit: Edit | None) -> tuple[float, ...]:
    found = evaluator.measure(edit, parts=("toxicity",), keep_texts=False)
    return found.per_prompt["toxicity"]


def toxicity_and_cost(
    lm: LanguageModel,
    prompts: Sequence[str] | Prompts,
    scorer: Scorer,
    neutral: Sequence[str] | NeutralText,
    protocol: str = "LEE",
    *,
    cache: str | Path | None = None,
) -> ToxicityAndCost:
    """What `run_attacks` measures with, of `bezoar.evaluate`.

    Args:
        lm: the base model; call this outside of any edit.
        prompts: that nothing was selected or trained on.
        scorer: the reporting one.
        neutral: text for perplexity.
        protocol: id; its number of prompts is taken from ``prompts``.
        cache: folder for scores.

    Raises:
        DataError: if there is no neutral text: an attack that breaks the model must be told apart.
    """
    if len(neutral) == 0:
        raise DataError(
            "There is no neutral text, so an attack that breaks the model would count as won.",
            hint="Give at least a few thousand tokens.",
        )
    chosen = get_protocol(protocol, prompts=len(prompts))
    evaluator = Evaluator(lm, prompts, chosen, [scorer], neutral, cache=cache)
    texts = neutral.texts if isinstance(neutral, NeutralText) else tuple(neutral)
    key = digest(lm.fingerprint, evaluator.prompts, texts, chosen.id, scorer.name, scorer.hash)
    return ToxicityAndCost(evaluator, key)
