"""The tokens that a latent fires on: by mean activation, tf-idf and BM25.

Tokens are compared as strings, as they are read. Over N texts, a token string t with mean
activation ā(t) over all its occurrences, tf(t) occurrences and df(t) texts that hold it scores

    mean      ā(t)
    tf-idf    ā(t) · tf(t) · (ln((N + 1) / (df(t) + 1)) + 1)
    BM25      ln((N − df(t) + ½) / (df(t) + ½) + 1) · Σ_d ā(t, d) · tf(t, d) (k₁ + 1)
                                          / (tf(t, d) + k₁ (1 − b + b |d| / mean length))

where d runs over texts, ā(t, d) is the mean activation of t within d, tf(t, d) its occurrences
there and |d| the text's tokens. Frequency saturates and length is made up for text by text, as BM25
(Robertson & Zaragoza 2009) asks; a formula that takes the corpus's frequency and one text's length
is another one, and changes with the order of the texts. All scores are divided by the largest.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int64
from scipy.sparse import csc_array, csr_array

from bezoar.activations import ActivationStore
from bezoar.errors import ConfigError, did_you_mean
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.codes import Codes
from bezoar.sae.feature_results import TokenScoring
from bezoar.sae.reading import read_codes
from bezoar.sae.token_rows import TextRows, Texts, TokenRows, check_texts, tokens_of

SCORINGS: tuple[TokenScoring, ...] = ("mean", "tf-idf", "bm25")
K1, B = 1.2, 0.75
"""BM25's saturation of repeated tokens, and how far it makes up for length."""
_TINY = 1e-300


class Strings:
    """Which token ids are one string.

    Args:
        lm: for its tokenizer.
        ids: all tokens that occur.

    Attributes:
        texts: the distinct strings, sorted.
    """

    def __init__(self, lm: LanguageModel, ids: Int64[np.ndarray, " rows"] | np.ndarray) -> None:
        distinct = np.unique(ids)
        texts, codes = np.unique(np.array(lm.token_strings(distinct.tolist())), return_inverse=True)
        self.texts: list[str] = texts.tolist()
        self._of = np.full(int(distinct.max()) + 1, -1, np.int64)
        self._of[distinct] = codes

    def __len__(self) -> int:
        return len(self.texts)

    def of(self, ids: np.ndarray) -> Int64[np.ndarray, " rows"]:
        """The number of each token's string."""
        return self._of[ids]


class TokenSums:
    """Collects what the scores are made of, for some latents.

    Args:
        latents: their numbers.
        d_sae: of the autoencoder.
        strings: of all tokens.
        mean_length: tokens of a text, over all texts that will pass.
        k1, b: of BM25.
    """

    def __init__(
        self,
        latents: Int64[np.ndarray, " latents"],
        d_sae: int,
        strings: Strings,
        mean_length: float,
        *,
        k1: float = K1,
        b: float = B,
    ) -> None:
        self._latents = latents
        self._strings = strings
        self._mean_length, self._k1, self._b = mean_length, k1, b
        self._place = np.full(d_sae, -1, np.int64)
        self._place[latents] = np.arange(len(latents))
        shape = (len(strings), len(latents))
        self._sums, self._saturated = csr_array(shape), csr_array(shape)
        self._texts = 0
        self._tf = np.zeros(len(strings), np.int64)
        self._df = np.zeros(len(strings), np.int64)

    def take(self, block: TextRows, codes: Codes) -> None:
        """See `bezoar.sae.reading.Collector`."""
        n = len(self._strings)
        of_row, of_text = self._strings.of(block.ids), block.of_row
        held, inverse, tf = np.unique(of_text * n + of_row, return_inverse=True, return_counts=True)
        self._texts += len(block.texts)
        self._tf += np.bincount(of_row, minlength=n)
        self._df += np.bincount(held % n, minlength=n)
        # A row's share of its token's saturated frequency in its text.
        length = 1 - self._b + self._b * block.lengths / self._mean_length
        weight = (self._k1 + 1) / (tf + self._k1 * length[held // n])
        values = chosen_latents(codes, self._place, len(self._latents))
        rows = np.arange(len(of_row))
        for name, one in (("_sums", np.ones(len(rows))), ("_saturated", weight[inverse])):
            of_string = csr_array((one, (of_row, rows)), shape=(n, len(rows)))
            setattr(self, name, getattr(self, name) + of_string @ values)

    def scores(self, scoring: TokenScoring) -> csc_array:
        """[strings latents], not yet divided by the largest of a latent.

        Raises:
            ConfigError: if there is no such scoring.
        """
        check_scoring(scoring)
        n, df = self._texts, self._df
        if scoring == "bm25":
            rare = np.log((n - df + 0.5) / (df + 0.5) + 1)
            return csc_array(self._saturated.multiply(rare[:, None]))
        factor = 1 / np.maximum(self._tf, 1)
        if scoring == "tf-idf":  # ā · tf is the sum again
            factor = np.log((n + 1) / (df + 1)) + 1
        return csc_array(self._sums.multiply(factor[:, None]))

    def top(
        self, scoring: TokenScoring, k: int, least: int = 1
    ) -> dict[int, tuple[tuple[str, float], ...]]:
        """For each latent its k highest strings and their scores, the highest of them 1.

        Strings that score nothing are left out, and those that occur less than ``least`` times,
        unless there are no others; equal scores stand in the order of the strings.
        """
        table = self.scores(scoring)
        found = {}
        for column, latent in enumerate(self._latents.tolist()):
            part = slice(table.indptr[column], table.indptr[column + 1])
            strings, values = table.indices[part], table.data[part]
            common = (self._tf[strings] >= least) & (values > 0)
            if common.any():
                strings, values = strings[common], values[common]
            values = values / max(values.max(initial=0.0), _TINY)
            # Rounded: sums in another order of texts must not part what ties.
            order = np.lexsort((strings, -np.round(values, 9)))[:k]
            found[latent] = tuple(
                (self._strings.texts[strings[i]], float(values[i])) for i in order if values[i] > 0
            )
        return found


def chosen_latents(codes: Codes, place: Int64[np.ndarray, " d_sae"], n: int) -> csr_array:
    """Latents [rows n] of a block as a sparse table of those alone that have a ``place`` in it."""
    columns = place[codes.indices.cpu().numpy()]
    values = codes.values.cpu().numpy()
    rows, at = np.nonzero((columns >= 0) & (values > 0))
    picked = values[rows, at].astype(np.float64)
    return csr_array((picked, (rows, columns[rows, at])), shape=(len(values), n))


def top_tokens(
    sae: SparseAutoencoder,
    tokens: TokenRows | ActivationStore,
    lm: LanguageModel,
    latents: Iterable[int],
    *,
    scoring: TokenScoring = "mean",
    k: int = 12,
    least: int = 1,
    texts: Texts | None = None,
    k1: float = K1,
    b: float = B,
    progress: Progress | None = None,
) -> dict[int, tuple[tuple[str, float], ...]]:
    """The tokens that each of some latents fires on most; see the module's page.

    Args:
        sae: whose latents.
        tokens: one row a token; of a store the autoencoder's own site.
        lm: for its tokenizer.
        latents: their numbers.
        scoring: ``mean``, ``tf-idf`` or ``bm25``.
        k: tokens of each.
        least: times that a string must occur; a mean over one occurrence says little.
        texts: only these; None for all.
        k1, b: of BM25.
        progress: shows tokens done.

    Raises:
        ConfigError: if there is no such scoring, or no such latent.
        SAEError: if the autoencoder is of another width.
    """
    check_scoring(scoring)
    tokens = tokens_of(sae, tokens)
    chosen = check_texts(texts, len(tokens.lengths))
    wanted = check_latents(latents, sae.d_sae)
    mean_length = float(tokens.lengths[chosen].mean())
    sums = TokenSums(wanted, sae.d_sae, Strings(lm, tokens.ids), mean_length, k1=k1, b=b)
    read_codes(sae, tokens, [sums], texts=chosen, progress=progress)
    return sums.top(scoring, k, least)


def check_scoring(scoring: str) -> None:
    """Refuse a name that is no score of tokens."""
    if scoring not in SCORINGS:
        raise ConfigError(
            f"Tokens are not scored by {scoring!r}.", hint=did_you_mean(scoring, SCORINGS)
        )


def check_latents(latents: Iterable[int], d_sae: int) -> Int64[np.ndarray, " latents"]:
    """Numbers of latents as an array.

    Raises:
        ConfigError: if one is not there, is named twice, or none is named.
    """
    wanted = np.array(list(latents), dtype=np.int64)
    wrong = wanted[(wanted < 0) | (wanted >= d_sae)]
    if not len(wanted) or len(wrong) or len(np.unique(wanted)) < len(wanted):
        told = f"Latent {wrong[0]} of {d_sae}" if len(wrong) else f"Latents {wanted.tolist()[:8]}"
        raise ConfigError(f"{told}.", hint=f"Name some, each once, from 0 to {d_sae - 1}.")
    return wanted
