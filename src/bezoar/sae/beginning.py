"""What a training begins at: the first rows say how large inputs are, and where their centre is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.activations.rows import RowSource
from bezoar.errors import SAEError
from bezoar.sae.median import geometric_median
from bezoar.sae.pupil import Plan, Pupil

Centre = Literal["median", "mean", "zero"]
SAMPLE = 8_192  # rows that the scale and the centre are taken of


def begin(pupils: Sequence[Pupil], rows: RowSource, plan: Plan, centre: Centre) -> float:
    """Give all pupils their initial weights.

    Returns:
        The factor by which inputs get a mean norm of √d.

    Raises:
        SAEError: if the first rows are not finite, or all the same.
    """
    sample = _sample(rows, plan)
    scale = rows.d**0.5 / float(sample.norm(dim=1).mean())
    sample = sample * scale
    if centre == "median":
        middle = geometric_median(sample)
    else:
        middle = sample.mean(0) if centre == "mean" else torch.zeros(rows.d)
    for pupil in pupils:
        pupil.begin(sample, middle)
    return scale


def _sample(rows: RowSource, plan: Plan) -> Float[Tensor, "rows d"]:
    """The first rows of the first epoch.

    Raises:
        SAEError: if they are not finite, or all the same.
    """
    parts: list[Tensor] = []
    for x in rows.batches(plan.batch, 0, 0, plan.seed):
        parts.append(x)
        if sum(map(len, parts)) >= SAMPLE:
            break
    sample = torch.cat(parts)
    if not bool(torch.isfinite(sample).all()):
        bad = int((~torch.isfinite(sample)).any(1).sum())
        raise SAEError(
            f"{bad:,} of the first {len(sample):,} rows of {rows.site} are not finite.",
            hint="Harvest again in float32.",
        )
    if not float((sample - sample[0]).abs().max()):
        raise SAEError(
            f"The first {len(sample):,} rows of {rows.site} are all the same.",
            hint="Nothing can be learned from them: choose another site, or other texts.",
        )
    return sample
