"""Check a loaded model against a plain Hugging Face call before anything is built on it."""

from __future__ import annotations

import torch
from torch import Tensor

from bezoar.errors import ModelError
from bezoar.models.batch import Side
from bezoar.models.language_model import LanguageModel
from bezoar.models.sites import Site


@torch.no_grad()
def check_parity(lm: LanguageModel) -> float:
    """The largest relative difference between our two paths to the logits and Hugging Face's.

    A padded batch must give each row's own logits; the raw last residual, normed and unembedded,
    must give them too.

    Raises:
        ModelError: if either differs by more than rounding.
    """
    vocab = lm.d_vocab
    rows = [[(7 * i + 5) % vocab for i in range(n)] for n in (8, 5)]
    last = Site(lm.n_layers - 1, "resid_post")
    worst = 0.0
    sides: tuple[Side, Side] = ("right", "left")
    for side in sides:
        batch = lm.batch(rows, side=side)
        logits = lm.model(**lm.inputs(batch)).logits
        residual = lm.capture(batch, [last])[last]
        for index, row in enumerate(rows):
            plain = lm.model(input_ids=torch.tensor([row], device=lm.device)).logits[0]
            real = batch.mask[index]
            worst = max(worst, _compare(lm, f"a {side}-padded batch", logits[index][real], plain))
            if side == "right":
                ours = lm.unembed(lm.final_norm(residual[index][real]))
                what = "the raw last residual, normed and unembedded,"
                worst = max(worst, _compare(lm, what, ours, plain))
    return worst


def _compare(lm: LanguageModel, what: str, ours: Tensor, plain: Tensor) -> float:
    scale = max(float(plain.abs().max()), 1e-12)
    difference = float((ours - plain).abs().max()) / scale
    allowed = max(1e-4, 64 * torch.finfo(lm.dtype).eps)
    if not difference <= allowed:
        raise ModelError(
            f"The numbers of {lm.name!r} are not reproduced: {what} gives logits that differ "
            f"from a plain call by {difference:.2e} of their size (allowed {allowed:.0e}).",
            hint="Pass check=False to look into it; results would not be those of the model.",
        )
    return difference
