"""Rows of whole texts, token by token: what reads latents reads these, a block of texts at a time.

Training wants rows shuffled and does not care whose they are; reading wants to know of each row
which text and which token it belongs to. Tokens are those of the harvest, cut where it cut them, so
that a row and its token can never fall apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor

from bezoar.activations import ActivationStore, TokenTable, plan_batches
from bezoar.activations.passes import forward_passes
from bezoar.errors import DataError, SAEError, StoreError
from bezoar.models import LanguageModel, Site
from bezoar.sae.base import SparseAutoencoder

Texts = Sequence[int] | Int[np.ndarray, " texts"]
"""Numbers of texts, none of them twice."""

_BLOCK = 8_192  # rows
_BUDGET = 4_096  # padded tokens a pass


@dataclass(frozen=True, slots=True, eq=False)
class TextRows:
    """The rows of some texts, text after text.

    Attributes:
        texts: their numbers in the source.
        lengths: rows of each.
        ids: the token of each row.
        rows: the activations, float32.
    """

    texts: Int64[np.ndarray, " texts"]
    lengths: Int64[np.ndarray, " texts"]
    ids: Int32[np.ndarray, " rows"]
    rows: Float[Tensor, "rows d"]

    @property
    def of_row(self) -> Int64[np.ndarray, " rows"]:
        """For each row the place of its text in ``texts``."""
        return np.repeat(np.arange(len(self.texts)), self.lengths)


@runtime_checkable
class TokenRows(Protocol):
    """Rows of one site, one a token, of many texts.

    Attributes:
        site: where they come from.
        d: the size of each.
        lengths: rows of each text.
        ids: the token of each row, text after text.
    """

    site: Site
    d: int
    lengths: Int64[np.ndarray, " texts"]
    ids: Int32[np.ndarray, " rows"]

    def blocks(self, texts: Texts | None = None, rows: int = _BLOCK) -> Iterator[TextRows]:
        """The rows of these texts (None: all), whole texts together, in any order.

        Args:
            texts: their numbers.
            rows: in a block, about; a longer text is a block of its own.

        Raises:
            DataError: if there is no such text.
        """
        ...


class StoredTokens:
    """Rows of a store that keeps one for each token.

    Args:
        store: made with pooling ``none``.
        site: one of its sites.

    Raises:
        StoreError: if rows are pooled, or of other sites.
    """

    def __init__(self, store: ActivationStore, site: Site | str) -> None:
        store.require(pooling="none", site=site)
        if store.token_ids is None:
            raise StoreError(f"{store!r} does not say whose rows it has.", hint="Harvest again.")
        self.site = Site.parse(site) if isinstance(site, str) else site
        self.d = store.manifest.columns[str(self.site)]
        self.lengths = store.lengths
        self.ids = store.token_ids
        self._store = store

    def blocks(self, texts: Texts | None = None, rows: int = _BLOCK) -> Iterator[TextRows]:
        """See `TokenRows`; in the order asked for."""
        chosen = check_texts(texts, len(self.lengths))
        offsets = self._store.offsets
        for some in split_texts(chosen, self.lengths, rows):
            lengths = self.lengths[some]
            places = places_of(offsets[some], lengths)
            values = torch.from_numpy(self._store.rows(self.site, places))
            yield TextRows(some, lengths, self.ids[places], values)


class RecomputedTokens:
    """Rows that the model computes when they are read: nothing is kept.

    Args:
        lm: the model.
        table: the tokens of all texts.
        site: where to read.
    """

    def __init__(self, lm: LanguageModel, table: TokenTable, site: Site | str) -> None:
        self.site = lm.site(site)
        self.d = lm.site_width(self.site)
        self.lengths = table.kept
        self.ids = table.kept_ids
        self._lm = lm
        self._table = table

    def blocks(self, texts: Texts | None = None, rows: int = _BLOCK) -> Iterator[TextRows]:
        """See `TokenRows`; longest texts first, about as many rows as one forward pass reads."""
        chosen = check_texts(texts, len(self.lengths))
        table = subtable(self._table, chosen)
        plan = plan_batches(table.lengths, min(rows, _BUDGET))
        keep = forward_passes(
            self._lm, table, plan, [self.site], "none", lambda _, values, pool: pool(values)
        )
        for done in keep:
            some = np.asarray(done.texts, dtype=np.int64)
            ids = table.take(some).kept_ids
            values = done.values[self.site].float().cpu()
            yield TextRows(chosen[some], table.kept[some], ids, values)


def tokens_of(sae: SparseAutoencoder, source: TokenRows | ActivationStore) -> TokenRows:
    """The rows that an autoencoder reads: those of its own site, where the source is a store.

    Raises:
        SAEError: if the autoencoder names no site, or was trained on another model.
        StoreError: if the store has no such site, or one row a text.
    """
    if not isinstance(source, ActivationStore):
        return source
    if sae.site is None:
        raise SAEError(
            f"This autoencoder names no site of ours ({sae.info.site!r}).",
            hint="Give the rows of a site: StoredTokens(store, site).",
        )
    ours, theirs = sae.info.fingerprint, source.manifest.fingerprint
    if ours and theirs and ours != theirs:
        raise SAEError(
            f"This autoencoder is of {sae.info.model or 'another model'}, and the store is "
            f"of {source.manifest.model}, which has other weights.",
            hint="Harvest with the model that it was trained on.",
        )
    return StoredTokens(source, sae.site)


def subtable(table: TokenTable, texts: Int64[np.ndarray, " texts"]) -> TokenTable:
    """The tokens of some texts only."""
    return replace(table.take(texts), truncated=0)


def check_texts(texts: Texts | None, n: int) -> Int64[np.ndarray, " texts"]:
    """Numbers of texts as an array.

    Raises:
        DataError: if one is out of range or named twice, or there is none.
    """
    chosen = np.arange(n) if texts is None else np.asarray(texts, dtype=np.int64)
    if not len(chosen) or chosen.min() < 0 or chosen.max() >= n:
        told = f"{chosen.min()} to {chosen.max()}" if len(chosen) else "none"
        raise DataError(f"Texts {told} of {n}.", hint=f"Texts count from 0 to {n - 1}.")
    if len(np.unique(chosen)) < len(chosen):
        raise DataError("A text is named twice.", hint="Name each text once.")
    return chosen


def places_of(
    starts: Int64[np.ndarray, " texts"], lengths: Int64[np.ndarray, " texts"]
) -> Int64[np.ndarray, " rows"]:
    """The numbers of all rows of texts that start there and are so long."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(lengths.sum())


def split_texts(
    texts: Int64[np.ndarray, " texts"], lengths: Int64[np.ndarray, " all"], rows: int
) -> Iterator[Int64[np.ndarray, " some"]]:
    """Runs of texts of at most so many rows together, and of one text at least."""
    ends = np.cumsum(lengths[texts])
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + rows, side="right")))
        yield texts[start:stop]
        start = stop
