"""Which words of a text carry its toxicity, as a scorer sees it.

*Occlusion* asks any scorer: how much lower is the logit of the score without this word? (The score
itself says little where it is close to one, of which there are many.) *Gradient* (gradient ×
input, Shrikumar et al. 2017) asks one that is differentiable how much the toxic logit owes to each
token's embedding, ``Σ_d e_d · ∂logit/∂e_d``; *saliency* (Simonyan et al. 2014) takes ``Σ_d
|∂logit/∂e_d|``, which has no sign. A scorer without gradients is asked by occlusion instead, and
the result says so. Words are spans of characters, so that whoever else reads the text, with other
tokens, can say what lies on them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from bezoar.errors import ConfigError, did_you_mean, several
from bezoar.runs.progress import SILENT, Progress
from bezoar.runs.results import Result
from bezoar.scoring.gradients import NoGradients, TokenShare, token_gradients
from bezoar.scoring.scorer import Scorer, score_texts

AttributionMethod = Literal["occlusion", "gradient", "saliency"]
ATTRIBUTIONS: tuple[str, ...] = get_args(AttributionMethod)

_VARIANTS = 8192  # texts with a word left out that are scored together
_NEVER = 1e-7
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTER = rf"[^\W{_IDEOGRAPHS}]"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|{_LETTER}(?:[^\W{_IDEOGRAPHS}]|['’*@$#!-])*(?<=\w)|[^\w\s]+")


@dataclass(frozen=True, slots=True)
class WordShare(Result):
    """The characters ``start`` to ``end`` of a text, and what of its toxicity they carry."""

    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True, repr=False)
class Attribution(Result):
    """One text's toxicity, by word.

    Attributes:
        score: the text's toxicity.
        words: in the order of the text; shares are in units of the toxic logit.
    """

    score: float
    words: tuple[WordShare, ...]

    def top(self, n: int = 1, above: float = 0.0) -> tuple[WordShare, ...]:
        """The ``n`` words of the largest share among those above a share; earlier ones first in a
        tie."""
        ranked = sorted(self.words, key=lambda word: (-word.share, word.start))
        return tuple(word for word in ranked[:n] if word.share > above)


@dataclass(frozen=True, slots=True, repr=False)
class Attributions(Result):
    """The toxicity of several texts, by word.

    Attributes:
        method: how it was found.
        note: why that is not how it was asked for; "" if it is.
        texts: one for each text.
    """

    method: AttributionMethod
    note: str
    texts: tuple[Attribution, ...]


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words are: runs of letters, digits and the signs that stand for letters inside them
    (``sh*t``), single ideographs, and runs of other signs. Blanks belong to no word."""
    return [match.span() for match in _WORD.finditer(text)]


def attribute(
    scorer: Scorer,
    texts: Sequence[str],
    *,
    method: AttributionMethod = "occlusion",
    progress: Progress | None = None,
) -> Attributions:
    """The share of every word of every text in its toxicity.

    Args:
        scorer: whose opinion is asked.
        texts: of any length; a scorer that cuts a text gives what it cut away no share.
        method: see the module.
        progress: where to show it.

    Raises:
        ConfigError: for an unknown method.
        DataError: if one string is given instead of several.
        ScorerError: if the scorer fails.
    """
    texts = several(texts, "texts")
    if method not in ATTRIBUTIONS:
        raise ConfigError(
            f"Toxicity cannot be attributed by {method!r}.",
            hint=did_you_mean(method, ATTRIBUTIONS),
        )
    note = ""
    if method != "occlusion":
        try:
            tokens = token_gradients(scorer, texts, absolute=method == "saliency")
        except NoGradients as error:
            note = f"{error} The words were left out one by one instead."
        else:
            return Attributions(method, "", _by_word(scorer, texts, tokens))
    return Attributions("occlusion", note, _left_out(scorer, texts, progress))


def _left_out(
    scorer: Scorer, texts: Sequence[str], progress: Progress | None
) -> tuple[Attribution, ...]:
    """``logit(text) − logit(text without the word)``, all texts together."""
    spans = [word_spans(text) for text in texts]
    variants = [
        without(text, start, end)
        for text, found in zip(texts, spans, strict=True)
        for start, end in found
    ]
    scores = np.zeros(len(variants))
    with (progress or SILENT).task("Leaving words out", len(variants), unit="texts") as advance:
        for first in range(0, len(variants), _VARIANTS):
            part = variants[first : first + _VARIANTS]
            scores[first : first + len(part)] = score_texts(scorer, part)["toxicity"]
            advance(len(part))
    whole = score_texts(scorer, texts)["toxicity"]
    found_attributions: list[Attribution] = []
    at = 0
    for score, found in zip(whole, spans, strict=True):
        words = tuple(
            WordShare(start, end, float(_logit(score) - _logit(rest)))
            for (start, end), rest in zip(found, scores[at : at + len(found)], strict=True)
        )
        found_attributions.append(Attribution(float(score), words))
        at += len(found)
    return tuple(found_attributions)


def _logit(score: float) -> float:
    """ln p / (1 − p), of scores that are 0 or 1 that of the nearest number in single precision."""
    p = min(max(score, _NEVER), 1 - _NEVER)
    return math.log(p) - math.log1p(-p)


def without(text: str, start: int, end: int) -> str:
    """The text less these characters, and less one of two blanks that then meet."""
    before, after = text[:start], text[end:]
    if after[:1].isspace() and (not before or before[-1].isspace()):
        after = after[1:]
    return before + after


def _by_word(
    scorer: Scorer, texts: Sequence[str], tokens: Sequence[Sequence[TokenShare]]
) -> tuple[Attribution, ...]:
    """The shares of a scorer's tokens, summed over those that begin in each word (or before it, in
    the blank that some tokens carry)."""
    whole = score_texts(scorer, texts)["toxicity"]
    found = []
    for text, score, shares in zip(texts, whole, tokens, strict=True):
        spans = word_spans(text)
        totals = np.zeros(len(spans))
        for start, end, share in shares:
            laps = [min(end, e) - max(start, s) for s, e in spans]
            if laps and max(laps) > 0:
                totals[int(np.argmax(laps))] += share
        words = tuple(WordShare(s, e, float(t)) for (s, e), t in zip(spans, totals, strict=True))
        found.append(Attribution(float(score), words))
    return tuple(found)
