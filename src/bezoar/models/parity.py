"""Check a loaded model against a plain Hugging Face call before anything is built on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bezoar.errors import BezoarError, ModelError
from bezoar.models.arguments import accepted
from bezoar.models.batch import Side
from bezoar.models.checkpoint import one_line
from bezoar.models.language_model import LanguageModel
from bezoar.models.sites import Site
from bezoar.models.trace import first_tensor


def check_parity(lm: LanguageModel) -> float:
    """The largest relative difference between our two paths to the logits and Hugging Face's.

    A padded batch must give each row's own logits; the raw last residual, normed and unembedded,
    must give them too. Of a model without an unembedding the last hidden states are compared.

    Raises:
        ModelError: if either differs by more than rounding, or a number is not finite, or a
            forward pass fails.
    """
    try:
        return _worst_difference(lm)
    except BezoarError:
        raise
    except Exception as error:  # of an absurd configuration the model's code may raise anything
        raise ModelError(
            f"A forward pass of {lm.name!r} on 8 token ids failed: {one_line(error)}.",
            hint="Is its configuration the one that its weights were saved with?",
        ) from error


@torch.no_grad()
def _worst_difference(lm: LanguageModel) -> float:
    vocab = lm.d_vocab
    rows = [[(7 * i + 5) % vocab for i in range(n)] for n in (8, 5)]
    last = Site(lm.n_layers - 1, "resid_post")
    worst = 0.0
    sides: tuple[Side, Side] = ("right", "left")
    for side in sides:
        batch = lm.batch(rows, side=side)
        padded = _numbers(lm, lm.inputs(batch))
        residual = lm.capture(batch, [last])[last]
        for index, row in enumerate(rows):
            plain = _numbers(lm, {"input_ids": torch.tensor([row], device=lm.device)})[0]
            real = batch.mask[index]
            worst = max(worst, _compare(lm, f"a {side}-padded batch", padded[index][real], plain))
            if side == "right":
                ours = lm.final_norm(residual[index][real])
                what = "the raw last residual, normed,"
                if lm.has_unembedding:
                    ours, what = lm.unembed(ours), "the raw last residual, normed and unembedded,"
                elif lm.anatomy.unembed_proj is not None:  # a base that ends in it (OPT-350m)
                    ours = lm.anatomy.unembed_proj(ours)
                worst = max(worst, _compare(lm, what, ours, plain))
    return worst


def _numbers(lm: LanguageModel, inputs: dict[str, Any]) -> Tensor:
    """Logits [batch pos d_vocab], or last hidden states where there are none."""
    if lm.has_unembedding:
        logits: Tensor = lm.model(**inputs).logits
        return logits
    states = first_tensor(lm.anatomy.base(**accepted(lm.anatomy.base, inputs)))
    if states is None:
        raise ModelError(f"The model {lm.name!r} returned no hidden states.")
    return states


def _compare(lm: LanguageModel, what: str, ours: Tensor, plain: Tensor) -> float:
    kind = "logits" if lm.has_unembedding else "hidden states"
    if not bool(plain.isfinite().all()):
        raise ModelError(
            f"The {kind} of {lm.name!r} are not finite (NaN or infinite).",
            hint="Its weights overflow: load it in float32 (dtype='float32'), or it is damaged.",
        )
    scale = max(float(plain.abs().max()), 1e-12)
    difference = float((ours - plain).abs().max()) / scale
    allowed = max(1e-4, 64 * torch.finfo(lm.dtype).eps)
    if not difference <= allowed:
        raise ModelError(
            f"The numbers of {lm.name!r} are not reproduced: {what} gives {kind} that differ "
            f"from a plain call by {difference:.2e} of their size (allowed {allowed:.0e}).",
            hint="Pass check=False to look into it; results would not be those of the model.",
        )
    return difference
