"""Cards of latents as one small JSON value: what ``features.html`` carries and its script draws.

Where the page would be too large, a prompt is cut to the tokens around the one that the latent is
most active on. An activation is one letter of 64: a share of the highest. Texts are masked as a
whole before they are cut at tokens, for a word that is masked may be several of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from bezoar.masking import for_display
from bezoar.report.numbers import visible_token
from bezoar.sae.feature_results import FeatureCard, FeaturePrompt, FeatureTable

LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("contribution", "share of reconstruction", "percent"),
    ("density", "active on", "percent"),
    ("interpretability", "interpretability", "number"),
    ("auroc", "AUROC", "number"),
    ("probe_cosine", "cosine with the probe", "number"),
    ("probe_correlation", "correlation with it", "number"),
    ("mean_toxic", "mean, label 1", "number"),
    ("mean_rest", "mean, label 0", "number"),
    ("cosine", "encoder · decoder", "number"),
    ("bias", "bias", "number"),
)
"""Field of the table of latents, its name on a card, and how it is written."""


SCORES = ("mean", "tf-idf", "bm25")
"""Of tokens, in the order in which they are offered: files have them by the alphabet."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each card is kept.

    Attributes:
        prompts: of each latent.
        window: tokens of each prompt.
    """

    prompts: int
    window: int


@dataclass(slots=True)
class _Texts:
    """Texts fit to be shown; those that many latents share are masked once."""

    unmask: bool
    seen: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def one(self, text: str) -> str:
        return for_display(text, unmask=self.unmask)

    def token(self, text: str) -> str:
        return self.one(visible_token(text))

    def pieces(self, tokens: tuple[str, ...]) -> list[str]:
        if tokens not in self.seen:
            self.seen[tokens] = pieces_for_display(tokens, unmask=self.unmask)
        return self.seen[tokens]


def compact(
    cards: Sequence[FeatureCard], table: FeatureTable, size: Size, *, unmask: bool = False
) -> dict[str, Any]:
    """What the page's script reads.

    Args:
        cards: of the latents that are shown.
        table: of all latents, with their numbers.
        size: what is kept of each card.
        unmask: texts as they are.
    """
    texts = _Texts(unmask)
    place = {latent: i for i, latent in enumerate(table.id)}
    columns = [column for column in COLUMNS if getattr(table, column[0])]
    named = {name for card in cards for name in card.tokens}
    scores = [*(name for name in SCORES if name in named), *sorted(named.difference(SCORES))]
    prompts = [prompt for card in cards for prompt in card.prompts]
    categories = sorted({p.category for p in prompts}.union(*(card.per_category for card in cards)))
    sources = sorted({p.source for p in prompts}.union(*(card.per_source for card in cards)))
    return {
        "of": len(table.id),
        "columns": columns,
        "scores": scores,
        "ranking": cards[0].ranking if cards else "",
        "categories": [texts.one(name) for name in categories],
        "sources": [texts.one(name) for name in sources],
        "latents": [
            {
                "id": card.id,
                "v": [_rounded(getattr(table, key)[place[card.id]]) for key, *_ in columns],
                "t": [_tokens(card.tokens.get(score, ()), texts) for score in scores],
                "u": [texts.token(token) for token in card.promoted],
                "d": [texts.token(token) for token in card.suppressed],
                "n": [[near, _rounded(cosine, 3)] for near, cosine in card.neighbours],
                "c": [_rounded(card.per_category.get(name)) for name in categories],
                "s": [_rounded(card.per_source.get(name)) for name in sources],
                "p": [
                    _prompt(prompt, sources, categories, size.window, texts)
                    for prompt in card.prompts[: size.prompts]
                ],
            }
            for card in cards
        ],
    }


def as_script(data: dict[str, Any]) -> Markup:
    """JSON in which nothing can end the script element that it stands in."""

    def dumps(value: Any, **_: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    return htmlsafe_json_dumps(data, dumps=dumps)


def pieces_for_display(tokens: Sequence[str], *, unmask: bool = False) -> list[str]:
    """Token strings fit to be shown, masked across their borders; each keeps its length.

    Args:
        tokens: of one text, in order.
        unmask: leave words as they are; what could reorder a line is made visible all the same.
    """
    whole = for_display("".join(tokens), unmask=unmask).replace("\n", "⏎").replace("\t", "⇥")
    found, at = [], 0
    for token in tokens:
        found.append(whole[at : at + len(token)])
        at += len(token)
    return found


def _tokens(tokens: Sequence[tuple[str, float]], texts: _Texts) -> list[list[Any]]:
    return [[texts.token(token), _rounded(share, 3)] for token, share in tokens]


def _prompt(
    prompt: FeaturePrompt, sources: list[str], categories: list[str], window: int, texts: _Texts
) -> list[Any]:
    first, last = around(prompt.activations, window)
    most = max(prompt.activations, default=0.0)
    return [
        sources.index(prompt.source),
        categories.index(prompt.category),
        _rounded(most),
        _rounded(prompt.score),
        prompt.label,
        int(prompt.first + first > 0),
        int(prompt.first + last < prompt.length),
        texts.pieces(prompt.tokens)[first:last],
        "".join(_level(value, most) for value in prompt.activations[first:last]),
    ]


def around(activations: Sequence[float], window: int) -> tuple[int, int]:
    """First and past-the-last place of a window that holds the highest activation.

    Two thirds of it lie before: what comes after a token did not make its latent active.
    """
    n = len(activations)
    if n <= window:
        return 0, n
    top = max(range(n), key=activations.__getitem__)
    first = min(max(top - 2 * window // 3, 0), n - window)
    return first, first + window


def _level(value: float, most: float) -> str:
    """``0`` for no activation, else one of 63 letters: never ``0`` for what is active."""
    if value <= 0 or most <= 0:
        return LEVELS[0]
    return LEVELS[max(1, round(63 * min(1.0, value / most)))]


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")
