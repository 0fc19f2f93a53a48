"""Several trained models beside one another: how far each moved, where, at what rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from bezoar.compare.models.drift import COMPONENTS, EnergyShare, WeightDrift
from bezoar.compare.models.shown import near_one
from bezoar.runs.results import Result

OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class DriftSummary(Result):
    """How far one model moved.

    Attributes:
        name: of the edit.
        moved, tensors: how many tensors moved, of how many.
        cosine, relative: of all parameters as one vector.
        least_cosine: the smallest of any tensor; "nothing moved" of the paper is above 0.99.
        largest_relative: the largest of any tensor; None if one moved away from zero.
        stable_rank: ‖W' - W‖²_F / σ₁², mean over the matrices that moved; None if none did.
        components: shares of Σ‖W' - W‖², by component; they sum to 1 unless nothing moved.
        layers: the same by layer; "outside" for what is in no block.
    """

    name: str
    moved: int
    tensors: int
    cosine: float
    relative: float
    least_cosine: float
    largest_relative: float | None
    stable_rank: float | None
    components: dict[str, float]
    layers: dict[str, float]


@dataclass(frozen=True, slots=True, repr=False)
class Drifts(Result):
    """What several trained models moved.

    Attributes:
        base_name: of the model that they all were.
        rows: one a model, in the order given.
    """

    base_name: str
    rows: tuple[DriftSummary, ...]

    def __rich__(self) -> Table:
        columns = ("edit", "cosine", "relative", "stable rank", "most of it in")
        table = Table(*columns, title=f"weights against {self.base_name}")
        for row in self.rows:
            rank = "–" if row.stable_rank is None else f"{row.stable_rank:.1f}"
            largest = sorted(row.components.items(), key=lambda item: -item[1])[:2]
            where = ", ".join(f"{name} {share:.0%}" for name, share in largest) or "–"
            table.add_row(row.name, near_one(row.cosine), f"{row.relative:.2g}", rank, where)
        return table


def drift_summary(drift: WeightDrift, name: str | None = None) -> DriftSummary:
    """The drift of all tensors in one row.

    Args:
        drift: from `weight_drift`.
        name: what to call the edited model; its own name if None.
    """
    moved = drift.moved
    ranks = [t.stable_rank for t in moved if t.stable_rank is not None]
    blocks = sorted({t.layer for t in drift.tensors if t.layer is not None})
    return DriftSummary(
        name=name or drift.edited,
        moved=len(moved),
        tensors=len(drift.tensors),
        cosine=drift.cosine,
        relative=drift.relative,
        least_cosine=min((t.cosine for t in drift.tensors), default=1.0),
        largest_relative=moved[0].relative if moved else 0.0,
        stable_rank=float(np.mean(ranks)) if ranks else None,
        components=_sums(drift.energy, lambda e: e.component, COMPONENTS),
        layers=_sums(drift.energy, _place, [OUTSIDE, *map(str, blocks)]),
    )


def _place(energy: EnergyShare) -> str:
    return OUTSIDE if energy.layer is None else str(energy.layer)


def _sums(
    energy: Iterable[EnergyShare], key: Callable[[EnergyShare], str], order: Iterable[str]
) -> dict[str, float]:
    """Shares by a key, in a given order; what has none is left out."""
    shares = list(energy)
    sums = {name: sum(e.share for e in shares if key(e) == name) for name in order}
    return {name: share for name, share in sums.items() if share > 0}
