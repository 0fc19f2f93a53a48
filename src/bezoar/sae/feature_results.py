"""What is told of single latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bezoar.runs.results import Result

TokenScoring = Literal["mean", "tf-idf", "bm25"]
Ranking = Literal["mean", "max"]


@dataclass(frozen=True, slots=True, repr=False)
class FeatureTable(Result):
    """Statistics of all latents: columns, one entry a latent (or of those that were asked for).

    With encoder row e and decoder row d of a latent, and f its activations.

    Attributes:
        name: of the autoencoder.
        site: whose activations it reads.
        id: the latent's own number, whatever was left out of the table.
        density: share of tokens with f > 0.
        bias: of the encoder.
        dot: d·e.
        cosine: d·e / (‖d‖ ‖e‖).
        energy: cosine².
        projection: d·e / ‖e‖².
        contribution: var(f) ‖d‖², as a share of the sum over *all* latents.
        interpretability: see `bezoar.sae.features.interpretability`; a heuristic of geometry and
            density that asks no reader.
        probe_cosine: of d with a dense probe at the same site; empty without one.
        probe_correlation: of a text's mean f with that probe's decision on it, each decision by
            folds that had not seen the text; empty without one.
        mean_toxic, mean_rest: mean over texts of either label of the text's mean f.
        auroc: of the text's mean f.
        tokens, texts: that these numbers are from.
        explained_variance: of the autoencoder on the same tokens.
        alpha, mu, sigma: of the interpretability score.
    """

    name: str
    site: str
    id: tuple[int, ...]
    density: tuple[float, ...]
    bias: tuple[float, ...]
    dot: tuple[float, ...]
    cosine: tuple[float, ...]
    energy: tuple[float, ...]
    projection: tuple[float, ...]
    contribution: tuple[float, ...]
    interpretability: tuple[float, ...]
    probe_cosine: tuple[float, ...]
    probe_correlation: tuple[float, ...]
    mean_toxic: tuple[float, ...]
    mean_rest: tuple[float, ...]
    auroc: tuple[float, ...]
    tokens: int
    texts: int
    explained_variance: float
    alpha: float
    mu: float
    sigma: float

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True, repr=False)
class FeaturePrompt(Result):
    """A text on which a latent is strong.

    Attributes:
        text: the whole of it (raw: mask it before showing).
        source, category: "" if unknown.
        label: 1 where the behaviour is present.
        score: the statistic of its tokens that it was ranked by.
        tokens: as strings, one a row that the model computed.
        activations: of the latent, one a token.
        first: the number of the first token shown; those of long texts are cut around the peak.
        length: tokens in all.
    """

    text: str
    source: str
    category: str
    label: int
    score: float
    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    first: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class FeatureCard(Result):
    """Everything that is shown of one latent.

    Attributes:
        id: its number.
        tokens: the strongest tokens by each score, as (string, score / largest score).
        prompts: the strongest texts, by ``ranking`` of their tokens.
        ranking: "mean" or "max".
        promoted, suppressed: tokens whose logits the decoder's direction raises, lowers most; empty
            where the site does not add to the residual stream.
        per_category, per_source: mean over texts of the text's mean activation.
        neighbours: other latents whose decoder directions are nearest, as (number, cosine).
    """

    id: int
    tokens: dict[str, tuple[tuple[str, float], ...]]
    prompts: tuple[FeaturePrompt, ...]
    ranking: str
    promoted: tuple[str, ...]
    suppressed: tuple[str, ...]
    per_category: dict[str, float]
    per_source: dict[str, float]
    neighbours: tuple[tuple[int, float], ...] = ()
