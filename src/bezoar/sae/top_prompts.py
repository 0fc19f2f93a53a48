"""The texts that a latent is strongest on, with what it does at each of their tokens.

Texts are ranked by a statistic of the latent over a text's tokens, and which one is part of the
answer: ``mean`` speaks for texts that are about it all along, and against long ones; ``max`` for
texts that hold it somewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.sparse import csc_array, csr_array

from bezoar.corpus import Corpus
from bezoar.errors import DataError
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.codes import Codes
from bezoar.sae.feature_results import FeaturePrompt, Ranking
from bezoar.sae.pooled import PooledLatents
from bezoar.sae.reading import read_codes
from bezoar.sae.token_rows import TextRows, TokenRows
from bezoar.sae.top_tokens import chosen_latents

WINDOW = 192
"""Tokens of a text that are shown: those around its peak."""
_LOW, _HIGH, _SINGLE = 0.1, 0.9, 0.5


def display_scale(
    activations: Float[np.ndarray, "*shape"],
) -> Float64[np.ndarray, "*shape"]:
    """How strongly to colour each token: zeros stay 0, the rest lies in [0.1, 0.9] linearly.

    The smallest positive activation has 0.1 and the largest 0.9; if all are equal they have 0.5.

    Raises:
        DataError: if one is negative or not finite, as no latent's is.
    """
    values = np.asarray(activations, dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError(
            f"Activations from {values.min():g} to {values.max():g} have no colour.",
            hint="Give activations of latents: finite, none below 0.",
        )
    out = np.zeros_like(values)
    fires = values > 0
    if not fires.any():
        return out
    low, high = values[fires].min(), values[fires].max()
    share = (values[fires] - low) / (high - low) if high > low else None
    out[fires] = _SINGLE if share is None else _LOW + (_HIGH - _LOW) * share
    return out


def top_texts(
    pooled: csr_array | csc_array, latents: Int64[np.ndarray, " latents"], k: int
) -> dict[int, tuple[tuple[int, float], ...]]:
    """For each latent the k texts with the highest pooled activation, as (place, score).

    Texts on which it never fires are left out; equal scores stand in the order of the texts.
    """
    columns = pooled[:, latents].tocsc()
    found = {}
    for column, latent in enumerate(latents.tolist()):
        part = slice(columns.indptr[column], columns.indptr[column + 1])
        texts, scores = columns.indices[part], columns.data[part]
        order = np.lexsort((texts, -scores))[:k]
        found[latent] = tuple(
            (int(texts[i]), float(scores[i])) for i in order.tolist() if scores[i] > 0
        )
    return found


class _Tracks:
    """Collects activations of some latents at each token of some texts."""

    def __init__(self, wanted: Mapping[int, Sequence[int]], d_sae: int) -> None:
        self.found: dict[tuple[int, int], np.ndarray] = {}
        self.ids: dict[int, np.ndarray] = {}
        self._latents = np.array(sorted(set().union(*wanted.values())), dtype=np.int64)
        self._wanted = wanted
        self._place = np.full(d_sae, -1, np.int64)
        self._place[self._latents] = np.arange(len(self._latents))

    def take(self, block: TextRows, codes: Codes) -> None:
        values = chosen_latents(codes, self._place, len(self._latents)).toarray()
        ends = np.cumsum(block.lengths)
        for text, end, length in zip(block.texts, ends, block.lengths, strict=True):
            rows = slice(int(end - length), int(end))
            self.ids[int(text)] = block.ids[rows]
            for latent in self._wanted[int(text)]:
                self.found[int(text), latent] = values[rows, self._place[latent]].copy()


def top_prompts(
    sae: SparseAutoencoder,
    tokens: TokenRows,
    lm: LanguageModel,
    corpus: Corpus,
    pooled: PooledLatents,
    latents: Int64[np.ndarray, " latents"],
    *,
    ranking: Ranking = "mean",
    k: int = 8,
    texts: Int64[np.ndarray, " texts"] | None = None,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> dict[int, tuple[FeaturePrompt, ...]]:
    """The k texts that each of some latents is strongest on, token by token.

    Only those texts are encoded again. Token strings are those of the very ids that the rows were
    computed from, so that the two cannot fall apart.

    Args:
        sae: whose latents.
        tokens: rows of all texts.
        lm: for its tokenizer.
        corpus: the texts that ``pooled`` has rows of.
        pooled: their latents.
        latents: whose texts are wanted.
        ranking: ``mean`` or ``max`` over a text's tokens.
        k: texts of each.
        texts: the numbers in ``tokens`` of the corpus's texts; None if they are the same.
        window: tokens that are shown of a longer text.
        progress: shows tokens done.

    Raises:
        ConfigError: if there is no such ranking.
        DataError: if corpus and pooled latents are not of as many texts.
    """
    if len(corpus) != len(pooled):
        raise DataError(
            f"{len(corpus)} texts, and pooled latents of {len(pooled)}.", hint="Pool these texts."
        )
    numbers = np.arange(len(corpus)) if texts is None else texts
    best = top_texts(pooled.by(ranking), latents, k)
    wanted: dict[int, list[int]] = {}
    for latent, rows in best.items():
        for place, _ in rows:
            wanted.setdefault(int(numbers[place]), []).append(latent)
    if not wanted:
        return dict.fromkeys(best, ())
    tracks = _Tracks(wanted, sae.d_sae)
    read_codes(sae, tokens, [tracks], texts=sorted(wanted), progress=progress)
    distinct = np.unique(np.concatenate(list(tracks.ids.values()))).tolist()
    named = dict(zip(distinct, lm.token_strings(distinct), strict=True))
    strings = {text: [named[i] for i in ids.tolist()] for text, ids in tracks.ids.items()}
    return {
        latent: tuple(
            _prompt(
                corpus,
                place,
                score,
                strings[int(numbers[place])],
                tracks.found[int(numbers[place]), latent],
                window,
            )
            for place, score in rows
        )
        for latent, rows in best.items()
    }


def _prompt(
    corpus: Corpus,
    place: int,
    score: float,
    strings: Sequence[str],
    track: Float[np.ndarray, " tokens"],
    window: int,
) -> FeaturePrompt:
    first = max(0, min(int(track.argmax()) - window // 2, len(track) - window))
    shown = slice(first, first + window)
    return FeaturePrompt(
        text=corpus.texts[place],
        source=corpus.source[place] if corpus.source else "",
        category=corpus.category[place] if corpus.category else "",
        label=int(corpus.labels[place]),
        score=score,
        tokens=tuple(strings[shown]),
        activations=tuple(float(f"{value:.4g}") for value in track[shown]),
        first=first,
        length=len(track),
    )
