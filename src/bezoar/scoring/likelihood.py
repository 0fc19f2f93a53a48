"""What a language model thinks of given tokens: the one forward pass behind perplexity, KL and
capability. Batches are made by length under a padded-token budget; padding changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bezoar.errors import DataError
from bezoar.models import Batch, LanguageModel, Site

TokenIds = Sequence[Sequence[int]]

NLL_CEILING = 50.0
"""Nats counted for a token that the (edited) model holds impossible: e⁻⁵⁰ ≈ 2 · 10⁻²²."""

# Tokens, and floats of logits. On a CPU what stays in a core's cache runs a fifth faster, and what
# is beyond 32 MiB glibc takes from the system, and gives back, once more for every batch.
_ON_CPU = (1024, 2**22)
_ON_ACCELERATOR = (16_384, 2**25)


def logit_batches(
    lm: LanguageModel, ids: TokenIds
) -> Iterator[tuple[list[int], Float[Tensor, "batch pos vocab"]]]:
    """Logits of all texts, longest first: pairs of row numbers and right-padded logits.

    The batches depend on the lengths alone, so two variants of a model see the same ones.

    Raises:
        DataError: if a text has no tokens, or more than the model's context.
    """
    for rows, batch in _batches(lm, ids):
        with torch.no_grad():
            yield rows, lm.logits(batch)


def _batches(lm: LanguageModel, ids: TokenIds) -> Iterator[tuple[list[int], Batch]]:
    lengths = [len(row) for row in ids]
    if lengths and not 0 < min(lengths) <= max(lengths) <= lm.context:
        raise DataError(
            f"Texts of {min(lengths)} to {max(lengths)} tokens do not fit this model.",
            hint=f"Give between 1 and {lm.context} tokens.",
        )
    tokens, floats = _ON_CPU if lm.device.type == "cpu" else _ON_ACCELERATOR
    budget = min(tokens, floats // lm.d_vocab)
    order = sorted(range(len(ids)), key=lambda row: -lengths[row])
    while order:
        size = max(1, budget // lengths[order[0]])
        rows, order = order[:size], order[size:]
        yield rows, lm.batch([list(ids[row]) for row in rows])


def token_nll(lm: LanguageModel, ids: TokenIds) -> list[Float[np.ndarray, " _pos"]]:
    """−ln p(token t | tokens before t), for t ≥ 1, of each text: float64 arrays of length n − 1.

    Nothing is put in front of a text, so its first token is not scored. A text of one token gives
    an empty array. A token held impossible counts as `NLL_CEILING`.

    Raises:
        DataError: if the logits are NaN.
    """
    return _checked_nll(ids, _predictions(lm, ids))


class FinalStates:
    """The last residual of given tokens, kept: what acts later need not run the model again.

    Args:
        lm: the bare model.
        ids: as in `token_nll`.

    Raises:
        DataError: as `token_nll`.
    """

    def __init__(self, lm: LanguageModel, ids: TokenIds) -> None:
        self._lm, self._ids = lm, ids
        site = Site(lm.n_layers - 1, "resid_post")
        self._kept: list[tuple[list[int], Tensor, Tensor]] = []
        for rows, batch in _batches(lm, ids):
            self._kept.append((rows, lm.capture(batch, [site])[site], batch.input_ids))

    @torch.no_grad()
    def token_nll(
        self,
        shift: Float[Tensor, " d_model"] | None = None,
        before_logits: Callable[[Tensor], Tensor] | None = None,
    ) -> list[Float[np.ndarray, " _pos"]]:
        """As the function of that name, with ``shift`` added to every last residual, and what the
        unembedding reads changed by ``before_logits``."""
        return _checked_nll(self._ids, self._predictions(shift, before_logits))

    def _predictions(
        self, shift: Tensor | None, before_logits: Callable[[Tensor], Tensor] | None
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        lm = self._lm
        for rows, states, input_ids in self._kept:
            moved = states if shift is None else states + shift.to(states)
            read = lm.final_norm(moved)
            read = read if before_logits is None else before_logits(read)
            logits = lm.process(input_ids, lm.unembed(read))
            yield rows, logits[:, :-1].float(), _targets(self._ids, rows, logits)


def _checked_nll(
    ids: TokenIds, predictions: Iterator[tuple[list[int], Tensor, Tensor]]
) -> list[np.ndarray]:
    out: list[np.ndarray] = [np.empty(0)] * len(ids)
    for rows, before, target in predictions:
        for row, nll in zip(rows, _nll(before, target), strict=True):
            out[row] = nll[: len(ids[row]) - 1]
    for row, nll in enumerate(out):
        if not np.isfinite(nll).all():
            raise DataError(
                f"The model's logits on text {row} are NaN.",
                hint="The edit is too strong, or the weights are damaged.",
            )
    return out


def greedy_hits(lm: LanguageModel, ids: TokenIds) -> list[Bool[np.ndarray, " _pos"]]:
    """Whether each token, from the second on, is the one greedy decoding would have written."""
    out: list[np.ndarray] = [np.empty(0, dtype=bool)] * len(ids)
    for rows, before, target in _predictions(lm, ids):
        hits = (before.argmax(dim=-1) == target).cpu().numpy()
        for row, hit in zip(rows, hits, strict=True):
            out[row] = hit[: len(ids[row]) - 1]
    return out


def _predictions(lm: LanguageModel, ids: TokenIds) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Logits [batch pos vocab] that predict, and the tokens [batch pos] that came."""
    for rows, logits in logit_batches(lm, ids):
        yield rows, logits[:, :-1].float(), _targets(ids, rows, logits)


def _targets(ids: TokenIds, rows: list[int], logits: Tensor) -> Tensor:
    target = torch.zeros(logits.shape[0], logits.shape[1] - 1, dtype=torch.long)
    for i, row in enumerate(rows):
        target[i, : len(ids[row]) - 1] = torch.tensor(list(ids[row][1:]), dtype=torch.long)
    return target.to(logits.device)


def _nll(before: Tensor, target: Tensor) -> np.ndarray:
    # cross_entropy wants the classes second; flattening keeps its memory-saving fused path.
    nll = torch.nn.functional.cross_entropy(
        before.flatten(0, 1), target.flatten(), reduction="none"
    )
    return nll.view(target.shape).double().clamp(0.0, NLL_CEILING).cpu().numpy()
