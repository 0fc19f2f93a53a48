"""The geometric median: a centre that outliers do not move."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import SAEError


def geometric_median(
    rows: Float[Tensor, "rows d"], *, steps: int = 100, tolerance: float = 1e-7
) -> Float[Tensor, " d"]:
    """The point m with the least ``Σ‖x − m‖``, by Weiszfeld's iteration in float64.

    Each step is a mean weighted by 1 / distance. Where the iteration sits on one of the rows, the
    step of Vardi and Zhang (2000) leaves it unless that row is the median.

    Args:
        rows: at least one.
        steps: at most.
        tolerance: of the last step, relative to the spread.

    Raises:
        SAEError: without rows.
    """
    if not len(rows):
        raise SAEError("The median of no rows was asked for.", hint="Give at least one.")
    x = rows.double()
    centre = x.mean(0)
    spread = float((x - centre).norm(dim=1).mean())
    for _ in range(steps):
        away = x - centre
        distance = away.norm(dim=1)
        apart = distance > 1e-12 * spread
        if not bool(apart.any()):
            break
        inverse = torch.where(apart, 1 / distance.clamp_min(1e-300), 0)
        pull = inverse @ away  # of the other rows, a unit vector each
        held = float((~apart).sum())
        strength = float(pull.norm())
        if strength <= held:  # the row that it sits on outweighs them: it is the median
            break
        step = pull / inverse.sum() * (1 - held / strength)
        centre = centre + step
        if float(step.norm()) <= tolerance * spread:
            break
    return centre.to(rows.dtype)
