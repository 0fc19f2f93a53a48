"""How far the weights moved: "nothing moved" (Lee et al. 2024, section 5.1), tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from rich.table import Table
from torch import Tensor, nn

from bezoar.compare.models.parameters import parameter_pairs
from bezoar.compare.models.shown import ROWS, near_one
from bezoar.compare.models.side import sides_of
from bezoar.edits import Edit
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result

COMPONENTS = (
    "mlp_in",
    "mlp_out",
    "attention",
    "embedding",
    "unembedding",
    "norm",
    "bias",
    "other",
)
_PIECE = 2**22  # numbers turned to double at a time
_DOUBLE = 1e-13  # of the largest eigenvalue: what double precision leaves of a zero


@dataclass(frozen=True, slots=True)
class TensorDrift(Result):
    """How far one parameter moved.

    Attributes:
        name: in the model's state dict; a tied parameter under the first of its names.
        component: one of `COMPONENTS`.
        layer: None outside of the blocks.
        cosine: of the flattened tensor before and after (1 for a zero tensor that stayed).
        norm: Frobenius norm before.
        difference: norm of W' - W.
        relative: ``difference / norm``; None for a zero tensor that moved.
        mean_absolute: mean |W' - W| of an entry.
        rank: singular values of W' - W above what rounding of the stored weights can make; None
            for vectors, or if ranks were not asked for.
        stable_rank: ‖W' - W‖²_F / σ₁², None where there is no difference.
    """

    name: str
    component: str
    layer: int | None
    cosine: float
    norm: float
    difference: float
    relative: float | None
    mean_absolute: float
    rank: int | None
    stable_rank: float | None


@dataclass(frozen=True, slots=True)
class EnergyShare(Result):
    """The share of Σ‖W' - W‖² that lies in one component of one layer."""

    component: str
    layer: int | None
    share: float


@dataclass(frozen=True, slots=True, repr=False)
class WeightDrift(Result):
    """How far the weights moved from base to edited.

    Attributes:
        base, edited: names of the models.
        tensors: in the order of the model.
        energy: non-zero shares, largest first; they sum to 1 unless nothing moved.
        cosine: of all parameters as one vector.
        relative: of all parameters as one vector.
    """

    base: str
    edited: str
    tensors: tuple[TensorDrift, ...]
    energy: tuple[EnergyShare, ...]
    cosine: float
    relative: float

    @property
    def moved(self) -> tuple[TensorDrift, ...]:
        """The tensors that differ, largest relative difference first."""
        changed = [t for t in self.tensors if t.difference > 0]
        return tuple(
            sorted(changed, key=lambda t: -(math.inf if t.relative is None else t.relative))
        )

    def share(self, component: str) -> float:
        """The share of the energy in one component, over all layers."""
        return sum(e.share for e in self.energy if e.component == component)

    def __rich__(self) -> Table:
        moved = self.moved
        title = (
            f"weights of {self.edited} against {self.base}: {len(moved)} of {len(self.tensors)} "
            f"tensors moved; all together cosine {near_one(self.cosine)}, "
            f"relative difference {self.relative:.2g}"
        )
        table = Table("tensor", "cosine", "relative", "rank", "energy", title=title)
        total = sum(t.difference**2 for t in moved) or 1.0
        for t in moved[:ROWS]:
            relative = "∞" if t.relative is None else f"{t.relative:.2g}"
            rank = "–" if t.rank is None else f"{t.rank} ({t.stable_rank:.1f})"
            share = f"{t.difference**2 / total:.1%}"
            table.add_row(t.name, near_one(t.cosine), relative, rank, share)
        return table


@torch.no_grad()
def weight_drift(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    *,
    ranks: bool = True,
    progress: Progress | None = None,
) -> WeightDrift:
    """Compare every parameter before and after, one at a time, with sums in double precision.

    Args:
        base: the model.
        edited: an edit of it that folds into weights, or another checkpoint.
        ranks: also the ranks of the differences (an eigendecomposition of each matrix).
        progress: where to show it.

    Raises:
        NotFoldable: if the edit is no change of weights.
        ModelError: if the models do not have the same parameters.
    """
    first, second = sides_of(base, edited)
    roles = _roles(base)
    order = {name: i for i, name in enumerate(roles)}
    tensors, sums = [], np.zeros(4)
    pairs = parameter_pairs(base, edited)
    for names, old, new in track(progress, pairs, "Comparing weights", unit="tensors"):
        moments = _moments(old, new)
        sums += moments
        tensors.append(_drift(names[0], roles[names[0]], moments, old, new, ranks))
    before, after, inner, change = sums.tolist()
    return WeightDrift(
        base=first.name,
        edited=second.name,
        tensors=tuple(sorted(tensors, key=lambda t: order[t.name])),
        energy=_energy(tensors),
        cosine=_cosine(before, after, inner, change),
        relative=math.sqrt(change / before),
    )


def _moments(old: Tensor, new: Tensor) -> Float64[np.ndarray, " moments"]:
    """Σw², Σw'², Σww' and Σ(w' - w)², a piece of the tensor at a time."""
    sums = np.zeros(4)
    new = new.to(old.device)
    for a, b in zip(old.reshape(-1).split(_PIECE), new.reshape(-1).split(_PIECE), strict=True):
        x, y = a.double(), b.double()
        sums += [float(x @ x), float(y @ y), float(x @ y), float((y - x) @ (y - x))]
    return sums


def _cosine(before: float, after: float, inner: float, change: float) -> float:
    if change == 0:
        return 1.0
    norms = math.sqrt(before) * math.sqrt(after)
    return max(-1.0, min(1.0, inner / norms)) if norms else 0.0


def _drift(
    name: str,
    role: tuple[str, int | None],
    moments: Float64[np.ndarray, " moments"],
    old: Tensor,
    new: Tensor,
    ranks: bool,
) -> TensorDrift:
    before, after, inner, change = moments.tolist()
    rank, stable = _ranks(old, new) if ranks and old.ndim == 2 else (None, None)
    moved = math.sqrt(change)
    return TensorDrift(
        name=name,
        component=role[0],
        layer=role[1],
        cosine=_cosine(before, after, inner, change),
        norm=math.sqrt(before),
        difference=moved,
        relative=moved / math.sqrt(before) if before else None if moved else 0.0,
        mean_absolute=float((new.to(old) - old).abs().sum(dtype=torch.float64)) / old.numel(),
        rank=rank,
        stable_rank=stable,
    )


def _ranks(old: Tensor, new: Tensor) -> tuple[int, float | None]:
    """Numerical and stable rank of the difference, from the eigenvalues of its smaller Gram matrix.

    Stored weights are rounded, which adds noise of full rank to any low-rank change: singular
    values that such noise could have (Davidson & Szarek 2001) are not counted.
    """
    change = new.to(old.device).double() - old.double()
    if not bool(change.any()):
        return 0, None
    if change.shape[0] < change.shape[1]:
        change = change.T
    squares = torch.linalg.eigvalsh(change.T @ change).clamp(min=0)
    largest = float(squares.max())
    rounding = torch.finfo(new.dtype).eps * float(new.double().square().mean().sqrt())
    noise = rounding * (math.sqrt(change.shape[0]) + math.sqrt(change.shape[1]))
    floor = max(noise**2, _DOUBLE * largest)
    return max(1, int((squares > floor).sum())), float(squares.sum()) / largest


def _energy(tensors: Sequence[TensorDrift]) -> tuple[EnergyShare, ...]:
    total = sum(t.difference**2 for t in tensors)
    if not total:
        return ()
    parts: dict[tuple[str, int | None], float] = {}
    for t in tensors:
        place = (t.component, t.layer)
        parts[place] = parts.get(place, 0.0) + t.difference**2 / total
    found = [EnergyShare(c, layer, share) for (c, layer), share in parts.items() if share > 0]
    return tuple(sorted(found, key=lambda e: -e.share))


def _roles(lm: LanguageModel) -> dict[str, tuple[str, int | None]]:
    """Component and layer of every parameter, by name."""
    modules = dict(lm.model.named_modules())
    components: dict[int, str] = {id(lm.anatomy.embed): "embedding"}
    layers: dict[str, int] = {}
    blocks = {id(block): layer for layer, block in enumerate(lm.anatomy.blocks)}
    for name, module in modules.items():
        if id(module) in blocks:
            layers[f"{name}."] = blocks[id(module)]
    for parts in lm.anatomy.block_parts:
        if parts.attention is not None:
            components.update((id(m), "attention") for m in parts.attention.modules())
        for part in (parts.w_in, parts.w_gate, parts.w_up):
            components[id(part)] = "mlp_in"
        components[id(parts.w_out)] = "mlp_out"
    if lm.anatomy.unembed is not None:
        components.setdefault(id(lm.anatomy.unembed), "unembedding")
    roles: dict[str, tuple[str, int | None]] = {}
    for name, _ in lm.model.named_parameters(remove_duplicate=False):
        path, _, leaf = name.rpartition(".")
        layer = next((n for prefix, n in layers.items() if name.startswith(prefix)), None)
        roles[name] = (_component(modules[path], leaf, components), layer)
    return roles


def _component(module: nn.Module, leaf: str, components: dict[int, str]) -> str:
    if "norm" in type(module).__name__.lower():
        return "norm"
    if leaf == "bias":
        return "bias"
    if isinstance(module, nn.Embedding):
        return "embedding"
    return components.get(id(module), "other")
