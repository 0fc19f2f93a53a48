"""What a scorer's toxic logit owes to each token, where the scorer can say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from bezoar.errors import ScorerError
from bezoar.scoring.convolution import WIDTH, ConvolutionScorer, tokens
from bezoar.scoring.scorer import CachedScorer, Scorer

TokenShare = tuple[int, int, float]
"""First character, character after the last, share in the toxic logit."""


class NoGradients(ScorerError):
    """A scorer that cannot say what its logit owes to a token."""


@runtime_checkable
class Differentiable(Protocol):
    """A scorer with gradients."""

    def token_gradients(
        self, texts: Sequence[str], *, absolute: bool = False
    ) -> list[list[TokenShare]]:
        """Each token's ``Σ_d e_d ∂logit/∂e_d``; ``Σ_d |∂logit/∂e_d|`` if ``absolute``."""
        ...


def token_gradients(
    scorer: Scorer, texts: Sequence[str], *, absolute: bool = False
) -> list[list[TokenShare]]:
    """Each token's share in the toxic logit of its text.

    Args:
        scorer: one that is `Differentiable`, a `ConvolutionScorer`, or either behind a cache.
        texts: any.
        absolute: ``Σ_d |∂logit/∂e_d|`` instead of gradient × input.

    Raises:
        NoGradients: if it is no such scorer, or does not know where its tokens stand.
    """
    while isinstance(scorer, CachedScorer):
        scorer = scorer.scorer
    if isinstance(scorer, Differentiable):
        return scorer.token_gradients(texts, absolute=absolute)
    if isinstance(scorer, ConvolutionScorer):
        return [_of_convolution(scorer, text, absolute) for text in texts]
    raise NoGradients(f"The scorer {scorer.name!r} offers no gradients.")


def _of_convolution(scorer: ConvolutionScorer, text: str, absolute: bool) -> list[TokenShare]:
    """Where a filter's maximum is above zero, its three tokens get what they gave to it.

    The logit is linear between its kinks: the shares, the bias and ``Σ_f O_f c_f`` over the filters
    that are on make it up exactly.
    """
    read = tokens(text)
    if not read:
        return []
    row = scorer.attributes.index("toxicity")
    vectors = scorer.vectors(read).astype(np.float64)
    parts = np.split(scorer.kernel.astype(np.float64), WIDTH)  # of the token before, here, after
    padded = np.pad(vectors, ((1, 1), (0, 0)))
    seen = np.stack([padded[k : k + len(read)] @ part for k, part in enumerate(parts)]).sum(0)
    best = seen.argmax(axis=0)
    on = np.take_along_axis(seen, best[None], 0)[0] + scorer.kernel_bias > 0
    weights = np.where(on, scorer.output[row], 0).astype(np.float64)
    gradient = np.zeros_like(padded)
    for k, part in enumerate(parts):
        np.add.at(gradient, best + k, (part * weights).T)
    gradient = gradient[1:-1]
    shares = np.abs(gradient).sum(1) if absolute else (gradient * vectors).sum(1)
    return [(*span, float(share)) for span, share in zip(_places(text, read), shares, strict=True)]


def _places(text: str, read: Sequence[str]) -> list[tuple[int, int]]:
    """Where tokens of the lower-case text stand in the text; a few letters grow when lowered."""
    owner = [i for i, letter in enumerate(text) for _ in letter.lower()]
    lowered = text.lower()
    spans, at = [], 0
    for token in read:
        start = lowered.index(token, at)
        at = start + len(token)
        spans.append((owner[start], owner[at - 1] + 1))
    return spans
