"""What a direction means in words: the tokens whose logits it raises and lowers.

Lee et al. 2024, Table 1: the rows of ``W_U v``, ranked. `class_lexicon` gives the tokens that tell
a corpus's classes apart, and `lexicon_share` asks whether what the ranked value vectors promote
lies among them more often than what random value vectors promote.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, DataError, UnsupportedAnatomy
from bezoar.locate.direction import Direction
from bezoar.locate.norm import Norm
from bezoar.locate.values import ValueRanking, check_width, random_values
from bezoar.masking import for_display
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import mean_interval
from bezoar.stats.intervals import Interval
from bezoar.stats.nulls import null_p_value

_ROWS = 64  # vectors projected onto the vocabulary at a time


@dataclass(frozen=True, slots=True, repr=False)
class TokenScore(Result):
    """A token of the vocabulary: its id, its text (raw: mask it before showing), its score."""

    id: int
    token: str
    score: float


@dataclass(frozen=True, slots=True, repr=False)
class TokenList(Result):
    """Tokens that a direction promotes and suppresses, strongest first.

    Attributes:
        name: of the direction.
        promoted: the largest ``W_U v``.
        suppressed: the smallest.
        fold_norm: whether the final norm's gain was applied first.
    """

    name: str
    promoted: tuple[TokenScore, ...]
    suppressed: tuple[TokenScore, ...]
    fold_norm: bool = False

    def __rich__(self) -> Table:
        table = Table("promoted", "score", "suppressed", "score", title=f"tokens of {self.name}")
        for up, down in zip(self.promoted, self.suppressed, strict=True):
            table.add_row(
                shown(up.token), f"{up.score:.3g}", shown(down.token), f"{down.score:.3g}"
            )
        return table


def shown(token: str) -> str:
    """A token as it may stand on a terminal: masked, blanks visible, markup escaped."""
    return for_display(token).replace("\n", "⏎").replace("[", "\\[")


def quoted(token: str) -> str:
    """`shown` in quotes, for a title: a token may be a blank."""
    return f"‘{shown(token)}’"


@torch.no_grad()
def promoted_tokens(
    lm: LanguageModel,
    vector: Direction | Float[Tensor, " d_model"] | Float[np.ndarray, " d_model"],
    k: int = 20,
    *,
    fold_norm: bool = False,
) -> TokenList:
    """The tokens with the largest and the smallest ``W_U v``.

    Args:
        lm: the model.
        vector: a direction (its unit vector is used) or a bare vector.
        k: how many of each.
        fold_norm: multiply by the final norm's gain (and centre, if it does) first, so that scores
            are the logits' true derivative up to a positive scale. The default is the paper's
            plain ``W_U v``.

    Raises:
        ConfigError: if ``k`` is not between 1 and the vocabulary's size.
        DataError: if the vector has another width than the model.
        UnsupportedAnatomy: if the model has no unembedding, or ``fold_norm`` another kind of norm.
    """
    name = vector.name if isinstance(vector, Direction) else "vector"
    bare = vector.vector if isinstance(vector, Direction) else torch.as_tensor(vector)
    check_width(lm, bare, name)
    if not 1 <= k <= lm.d_vocab:
        raise ConfigError(f"k={k} tokens of {lm.d_vocab}.", hint="Ask for 1 up to all of them.")
    unembedding = needs_unembedding(lm)
    bare = bare.detach().to(unembedding)
    if fold_norm:
        bare = Norm.of(lm.anatomy.final_norm, bare).pull_back(bare).to(unembedding)
    scores = (unembedding @ bare).float().cpu().numpy()
    order = np.lexsort((np.arange(len(scores)), -scores))
    return TokenList(
        name,
        _token_scores(lm, order[:k], scores),
        _token_scores(lm, order[::-1][:k], scores),
        fold_norm,
    )


def needs_unembedding(lm: LanguageModel) -> Float[Tensor, "d_vocab d_model"]:
    """The unembedding matrix.

    Raises:
        UnsupportedAnatomy: if the model has none.
    """
    if not lm.has_unembedding:
        raise UnsupportedAnatomy(
            f"{lm.name} has no unembedding, so a direction has no tokens.",
            hint="Load it with its language-model head.",
        )
    return lm.W_U.detach()


def _token_scores(lm: LanguageModel, ids: np.ndarray, scores: np.ndarray) -> tuple[TokenScore, ...]:
    numbers = ids.tolist()
    texts = lm.token_strings(numbers)
    return tuple(TokenScore(i, t, float(scores[i])) for i, t in zip(numbers, texts, strict=True))


@dataclass(frozen=True, slots=True, repr=False)
class Lexicon(Result):
    """The tokens that speak most for the positive class of a corpus.

    Attributes:
        tokens: scores are z = log-odds ratio / its standard error.
        corpus: name of the corpus.
        texts: how many texts were counted.
    """

    tokens: tuple[TokenScore, ...]
    corpus: str
    texts: int

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(t.id for t in self.tokens)

    def __rich__(self) -> Table:
        table = Table("token", "z", title=f"tokens of the positive class of {self.corpus}")
        for t in self.tokens[:20]:
            table.add_row(shown(t.token), f"{t.score:.1f}")
        return table


def class_lexicon(
    lm: LanguageModel, corpus: Corpus, k: int = 200, *, prior: float = 0.5
) -> Lexicon:
    """Tokens by the log-odds of occurring in a positive text against a negative one.

    A text counts a token once, however often it repeats it. With c texts of N holding the token,
    ``δ = log((c₁+α)/(N₁−c₁+α)) − log((c₀+α)/(N₀−c₀+α))``, divided by its standard error (Monroe et
    al. 2008), which keeps tokens seen twice from the top.

    Args:
        lm: for its tokenizer.
        corpus: labelled texts.
        k: how many tokens; those with z ≤ 0 are left out.
        prior: α.

    Raises:
        DataError: if the corpus has one class only.
    """
    sizes = np.bincount(corpus.labels, minlength=2)
    if not sizes.all():
        raise DataError(
            f"{corpus.name} has {sizes[1]} positive texts of {sizes.sum()}.",
            hint="A lexicon needs both classes.",
        )
    counts = np.zeros((2, lm.d_vocab))
    for ids, label in zip(lm.encode(list(corpus.texts)), corpus.labels, strict=True):
        counts[label, list(set(ids))] += 1
    held, missed = counts + prior, sizes[:, None] - counts + prior
    log_odds = np.log(held[1] / missed[1]) - np.log(held[0] / missed[0])
    z = log_odds / np.sqrt((1 / held + 1 / missed).sum(axis=0))
    order = np.lexsort((np.arange(len(z)), -z))[:k]
    chosen = order[(z[order] > 0) & (counts[1, order] > 0)]
    return Lexicon(_token_scores(lm, chosen, z), corpus.name, len(corpus))


@dataclass(frozen=True, slots=True)
class LexiconShare(Result):
    """How much of what value vectors promote lies in a lexicon.

    Attributes:
        share: mean over the top value vectors of the share of their top-k tokens in the lexicon.
        null_mean, null_high: mean and 95th percentile over draws of as many random value vectors.
        p: of the observed share among the draws.
        vectors, k: how many vectors, how many tokens of each.
        interval: of the share, vectors resampled; None of one vector, or if it was not kept.
    """

    share: float
    null_mean: float
    null_high: float
    p: float
    vectors: int
    k: int
    interval: Interval | None = None


@torch.no_grad()
def lexicon_share(
    lm: LanguageModel,
    ranking: ValueRanking,
    lexicon: Lexicon,
    *,
    vectors: int = 16,
    k: int = 10,
    draws: int = 999,
    pool: int = 512,
    seed: int = 0,
) -> LexiconShare:
    """Compare the tokens promoted by ranked value vectors with those of random ones.

    Args:
        lm: the model.
        ranking: value vectors, nearest to the direction first.
        lexicon: tokens to look for.
        vectors: how many of the ranking to take.
        k: promoted tokens of each.
        draws: null draws, each of as many random value vectors.
        pool: how many random value vectors, over all layers, the draws are made from.
        seed: of the pool and the draws.
    """
    rows = ranking.vectors(lm)[:vectors]
    # Which direction the random ones are compared to does not matter: only their tokens count.
    pool = min(pool, ranking.considered)
    random = random_values(lm, ranking.at(lm), pool, seed=seed, mode=ranking.mode).vectors(lm)
    known = torch.zeros(lm.d_vocab)
    known[list(lexicon.ids)] = 1
    each = _shares(lm, rows, known, k)
    observed = float(each.mean())
    shares = _shares(lm, random, known, k)
    rng = np.random.default_rng(seed)
    null = shares[rng.integers(0, pool, size=(draws, len(rows)))].mean(axis=1)
    high = float(np.quantile(null, 0.95))
    p = null_p_value(observed, null)
    seen = mean_interval(each, seed=seed) if len(rows) > 1 else None
    return LexiconShare(observed, float(null.mean()), high, p, len(rows), k, seen)


def _shares(lm: LanguageModel, rows: Tensor, known: Tensor, k: int) -> np.ndarray:
    """For each row, the share of its top-k promoted tokens that are known."""
    unembedding = needs_unembedding(lm)
    parts = []
    for block in rows.split(_ROWS):
        top = (block.to(unembedding) @ unembedding.T).topk(k, dim=-1).indices.cpu()
        parts.append(known[top].mean(dim=-1))
    return torch.cat(parts).double().numpy()
