"""What the model makes of reconstructions: the loss that an autoencoder costs, and recovers.

x̂ is put in the place of x at the site and the model goes on; the cross-entropy of the next tokens
says what was lost. Two replacements that know nothing of the token, zeros and the site's mean, say
how much there is to lose. With the error added back, x̂ + (x − x̂), nothing may change at all: that
splice goes through the same hooks first, so that one which misses its site is found, not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.activations import StreamingMoments, TokenTable, tokenise
from bezoar.edits import ActivationEdit
from bezoar.edits.ops import Op
from bezoar.errors import DataError, ModelError
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress, track
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.quality_results import LossRecovered
from bezoar.sae.token_rows import RecomputedTokens
from bezoar.scoring.likelihood import token_nll

_CHECKED = 4  # texts on which the splice that changes nothing is tried
_TOLERANCE = 1e-2  # nats a token; rounding in 16 bits stays below


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Instead(Op):
    """x ↦ what a function makes of it. For measuring only: it cannot be saved as an edit."""

    tag: ClassVar[str] = "instead"
    d: int
    change: Callable[[Tensor], Tensor]

    @property
    def width(self) -> int:
        return self.d

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        return self.change(x)


@torch.no_grad()
def recovered_loss(
    lm: LanguageModel,
    sae: SparseAutoencoder,
    texts: Sequence[str] | TokenTable,
    *,
    mean: Float[Tensor, " d_model"] | None = None,
    beside: LossRecovered | None = None,
    progress: Progress | None = None,
) -> LossRecovered:
    """Cross-entropy of texts with reconstructions in the place of what they reconstruct.

    Args:
        lm: the model.
        sae: its site says where.
        texts: ordinary ones, of at least two tokens; or tokens, of which only those that are meant
            (what the model wrote) are replaced, and only what follows them is predicted.
        mean: of the site, on any texts; measured on these if None.
        beside: of another autoencoder at the same site, on the same texts: what the model makes of
            them without either, with zeros and with the mean, is taken from it.
        progress: shows the passes.

    Raises:
        SAEError: if the autoencoder is of another model or width.
        SiteError: if nothing can be put in the place of what passes at the site.
        UnsupportedAnatomy: if the model has no unembedding.
        DataError: if no text has two tokens that are meant.
        ModelError: if the splice that must change nothing does.
    """
    sae.require(lm)
    table = texts if isinstance(texts, TokenTable) else tokenise(lm, texts)
    long = np.flatnonzero(table.kept > 1)
    if not len(long):
        raise DataError("No text has two tokens, so none is predicted.", hint="Give longer ones.")
    read = table.take(long)
    _check_splice(lm, sae, read.take(np.arange(min(_CHECKED, len(long)))))
    ways: list[Callable[[Tensor], Tensor] | None] = [sae.forward]
    if beside is None:
        centre = _mean(lm, sae, table) if mean is None else mean
        ways += [None, torch.zeros_like, lambda x: centre.to(x).expand_as(x)]
    found = [_loss(lm, sae, read, way) for way in track(progress, ways, "Splicing", unit="passes")]
    known = found[1:] if beside is None else [beside.base, beside.zero, beside.mean]
    spliced, (base, zero, without) = found[0], known
    return LossRecovered(
        base=base,
        spliced=spliced,
        zero=zero,
        mean=without,
        recovered=_share(zero, spliced, base),
        recovered_of_mean=_share(without, spliced, base),
        tokens=int((read.kept - 1).sum()),
    )


def _loss(
    lm: LanguageModel,
    sae: SparseAutoencoder,
    table: TokenTable,
    change: Callable[[Tensor], Tensor] | None,
) -> float:
    """Mean −ln p of the token after each that is meant, with ``change`` acting on these."""
    ids = table.rows(range(len(table)))
    if table.starts is None:
        return float(np.concatenate(_nll(lm, sae, ids, change)).mean())
    # One by one: where in a batch the tokens begin that are meant, no hook can tell.
    found = [
        _nll(lm, sae, [row], change, start)[0][start:]
        for row, start in zip(ids, table.starts.tolist(), strict=True)
    ]
    return float(np.concatenate(found).mean())


def _nll(
    lm: LanguageModel,
    sae: SparseAutoencoder,
    ids: Sequence[Sequence[int]],
    change: Callable[[Tensor], Tensor] | None,
    start: int = 0,
) -> list[Float[np.ndarray, " _pos"]]:
    """−ln p of every token but the first, with ``change`` acting from a position on."""
    if change is None:
        return token_nll(lm, ids)

    def instead(x: Tensor) -> Tensor:
        # The autoencoder is kept in float32, whatever the model computes in.
        before, meant = x[..., :start, :], x[..., start:, :]
        return torch.cat([before, change(meant.to(sae.W_dec)).to(x)], dim=-2)

    edit = ActivationEdit.at([lm.site(sae.info.site)], _Instead(sae.d_model, instead))
    with edit.applied_to(lm):
        return token_nll(lm, ids)


def _check_splice(lm: LanguageModel, sae: SparseAutoencoder, table: TokenTable) -> None:
    def error_kept(x: Tensor) -> Tensor:
        made = sae.forward(x)
        return made + (x - made)

    off = abs(_loss(lm, sae, table, error_kept) - _loss(lm, sae, table, None))
    if off > _TOLERANCE:
        raise ModelError(
            f"A splice that keeps the error changes the loss by {off:.2g} nats at "
            f"{sae.info.site} of {lm.name!r}: it may not change anything.",
            hint="Is another edit applied, or the model in a precision too low to splice?",
        )


def _mean(lm: LanguageModel, sae: SparseAutoencoder, table: TokenTable) -> Tensor:
    moments = StreamingMoments(sae.d_model, covariance=False)
    for block in RecomputedTokens(lm, table, sae.info.site).blocks():
        moments.update(block.rows)
    return moments.mean.to(sae.W_dec)


def _share(worst: float, spliced: float, base: float) -> float:
    """What of the loss between the worst and the base is not lost; 0 where nothing can be."""
    return (worst - spliced) / (worst - base) if worst != base else 0.0
