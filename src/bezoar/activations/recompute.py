"""Rows that the model computes whenever they are read: no disk, one pass over the texts a reading.

Where a model is small, or rows are read about once, this costs less than to store them. The rest of
a pass above the site is not computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from bezoar.activations import rows as sizes_of
from bezoar.activations.batching import plan_batches
from bezoar.activations.passes import forward_passes
from bezoar.activations.rows import check_asked, digest_of, finite, order_of, some, stream
from bezoar.activations.tokens import TokenTable, tokenise
from bezoar.models import LanguageModel, Site


class RecomputedRows:
    """A :class:`~bezoar.activations.RowSource` of the tokens of texts, nothing of it stored.

    Each group is of texts drawn at random, as many as give its rows; these are held in float32.

    Args:
        lm: the model. An edit that is applied while batches are read acts on them.
        texts: what to read, or the tokens of it (``tokenise``).
        site: where.
        chosen: only these texts, by number; None for all.
        budget_tokens: padded tokens a forward pass.
        skip_first: positions at the beginning of each text whose rows are left out; see
            :class:`~bezoar.activations.StoredRows`.

    Raises:
        SiteError: if the model lacks the site.
        DataError: if there is no text, or one gives no token.
    """

    def __init__(
        self,
        lm: LanguageModel,
        texts: Sequence[str] | TokenTable,
        site: Site | str,
        chosen: Sequence[int] | np.ndarray | None = None,
        *,
        budget_tokens: int = 4096,
        skip_first: int = 0,
    ) -> None:
        table = texts if isinstance(texts, TokenTable) else tokenise(lm, texts)
        table = table if chosen is None else table.take(chosen)
        self._table = table.without_first(skip_first) if skip_first else table
        self._lm = lm
        self.fingerprint = lm.fingerprint
        self._budget = budget_tokens
        self.site = lm.site(site)
        self.d = lm.site_width(self.site)
        self.n_rows = some(int(self._table.kept.sum()), self.site)
        self._group = max(1, sizes_of.GROUP_BYTES // (4 * self.d))
        self.digest = digest_of(
            *("computed", lm.fingerprint, self._table.digest, self.site, self._group, budget_tokens)
        )

    def batches(
        self, batch: int, epoch: int = 0, start: int = 0, seed: int = 0
    ) -> Iterator[Float32[Tensor, "batch d"]]:
        """See :class:`~bezoar.activations.RowSource`; what is passed over is not computed."""
        check_asked(batch, epoch, start, seed)
        order = order_of(len(self._table), seed, epoch, 0)
        ends = np.cumsum(self._table.kept[order])
        cuts = np.searchsorted(ends, np.arange(self._group, self.n_rows, self._group)) + 1
        groups = [group for group in np.split(order, np.unique(cuts)) if len(group)]
        sizes = [int(self._table.kept[group].sum()) for group in groups]

        def group(number: int) -> _Shuffled:
            rows = self._compute(groups[number])
            return _Shuffled(rows, order_of(len(rows), seed, epoch, 1 + number))

        parts = stream(sizes, batch, start, group)
        return (finite(torch.cat(part), self.site) for part in parts)

    def _compute(self, texts: Int64[np.ndarray, " texts"]) -> Float32[Tensor, "rows d"]:
        """Rows of some texts, in any order that depends on nothing but these."""
        table = self._table.take(np.sort(texts))
        plan = plan_batches(table.lengths, self._budget)
        rows = torch.empty(int(table.kept.sum()), self.d)
        at = 0
        passes = forward_passes(
            self._lm, table, plan, [self.site], "none", lambda _, values, pool: pool(values)
        )
        for done in passes:
            values = done.values[self.site]
            rows[at : at + len(values)] = values
            at += len(values)
        return rows


class _Shuffled:
    """Rows in another order, of which parts are made when they are asked for."""

    def __init__(self, rows: Float32[Tensor, "rows d"], order: Int64[np.ndarray, " rows"]) -> None:
        self._rows = rows
        self._order = torch.from_numpy(order)

    def __getitem__(self, part: slice, /) -> Float32[Tensor, "part d"]:
        return self._rows[self._order[part]]
