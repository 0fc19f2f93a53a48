"""Cards: everything that is shown of single latents, gathered in two passes over the tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import TypeAdapter, ValidationError

from bezoar.corpus import Corpus
from bezoar.errors import CorruptArtefact
from bezoar.locate import promoted_tokens
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import atomic_write, to_plain
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.feature_results import FeatureCard, Ranking
from bezoar.sae.labelled import group_means
from bezoar.sae.pooled import PooledLatents
from bezoar.sae.reading import Collector, read_codes
from bezoar.sae.token_rows import TokenRows
from bezoar.sae.top_prompts import top_prompts
from bezoar.sae.top_tokens import SCORINGS, Strings, TokenSums

_ADDED = ("resid_pre", "resid_mid", "resid_post", "resid_delta", "attn_out", "mlp_out", "embed")
"""Points whose values lie in the residual stream, where a direction promotes tokens."""


def feature_cards(
    sae: SparseAutoencoder,
    tokens: TokenRows,
    lm: LanguageModel,
    corpus: Corpus,
    pooled: PooledLatents,
    latents: Int64[np.ndarray, " latents"],
    *,
    texts: Int64[np.ndarray, " texts"] | None = None,
    ranking: Ranking = "mean",
    n_tokens: int = 12,
    least: int = 3,
    n_prompts: int = 8,
    n_promoted: int = 12,
    n_neighbours: int = 5,
    also: Iterable[Collector] = (),
    progress: Progress | None = None,
) -> Iterator[FeatureCard]:
    """A card for each of these latents.

    Args:
        sae: whose latents.
        tokens: rows of all texts.
        lm: for its tokenizer and unembedding.
        corpus: texts that ``pooled`` has rows of.
        pooled: their latents.
        latents: whose cards.
        texts: the numbers in ``tokens`` of the corpus's texts; None if they are the same.
        ranking: of texts.
        least: times that a top token must occur in all, where there are such.
        n_tokens, n_prompts, n_promoted, n_neighbours: how many a card has.
        also: further collectors, to share the pass over all tokens.
        progress: shows how far it is.
    """
    numbers = np.arange(len(corpus)) if texts is None else texts
    sums = TokenSums(
        latents, sae.d_sae, Strings(lm, tokens.ids), float(tokens.lengths[numbers].mean())
    )
    read_codes(sae, tokens, [sums, *also], texts=numbers, progress=progress)
    best = {scoring: sums.top(scoring, n_tokens, least) for scoring in SCORINGS}
    prompts = top_prompts(
        sae,
        tokens,
        lm,
        corpus,
        pooled,
        latents,
        ranking=ranking,
        k=n_prompts,
        texts=numbers,
        progress=progress,
    )
    category, source = (group_means(pooled.mean, of) for of in (corpus.category, corpus.source))
    near = neighbours(sae, latents, n_neighbours)
    for latent in track(progress, latents.tolist(), "Writing cards", unit="latents"):
        up, down = _promoted(lm, sae, latent, n_promoted)
        yield FeatureCard(
            id=latent,
            tokens={scoring: best[scoring][latent] for scoring in SCORINGS},
            prompts=prompts[latent],
            ranking=ranking,
            promoted=up,
            suppressed=down,
            per_category=_at(category, latent),
            per_source=_at(source, latent),
            neighbours=near[latent],
        )


def neighbours(
    sae: SparseAutoencoder, latents: Int64[np.ndarray, " latents"], k: int
) -> dict[int, tuple[tuple[int, float], ...]]:
    """For each of some latents the k others whose decoder rows have the largest cosine with its."""
    rows = sae.W_dec.detach().float().cpu().numpy()
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    found = {}
    for latent in latents.tolist():
        cosines = rows @ rows[latent]
        cosines[latent] = -np.inf
        order = np.lexsort((np.arange(len(cosines)), -cosines))[: min(k, len(cosines) - 1)]
        found[latent] = tuple((int(i), float(cosines[i])) for i in order)
    return found


def _promoted(
    lm: LanguageModel, sae: SparseAutoencoder, latent: int, k: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    site = sae.site
    if site is None or site.point not in _ADDED or not lm.has_unembedding:
        return (), ()
    found = promoted_tokens(lm, sae.W_dec[latent].detach(), min(k, lm.d_vocab))
    up, down = found.promoted, found.suppressed
    return tuple(one.token for one in up), tuple(one.token for one in down)


def _at(groups: dict[str, Float64[np.ndarray, " d_sae"]], latent: int) -> dict[str, float]:
    return {name: float(f"{means[latent]:.6g}") for name, means in groups.items()}


def save_cards(path: str | Path, cards: Iterable[FeatureCard]) -> None:
    """Write cards as JSON, a line each."""
    lines = (json.dumps(to_plain(card), sort_keys=True, allow_nan=False) for card in cards)
    atomic_write(Path(path), "".join(f"{line}\n" for line in lines).encode())


def load_cards(path: str | Path) -> tuple[FeatureCard, ...]:
    """Read them back.

    Raises:
        CorruptArtefact: if a line is no card.
    """
    kind = TypeAdapter(FeatureCard)
    try:
        lines = Path(path).read_bytes().splitlines()
        return tuple(kind.validate_json(line) for line in lines)
    except (ValidationError, OSError) as error:
        raise CorruptArtefact(
            f"{path} cannot be read as cards of latents: {str(error).splitlines()[0]}.",
            hint="Remove the stage's folder and run it again.",
        ) from error
