"""How easily could a remedy be undone? What weights and neutral text say, before any attack.

The question of Lee et al. 2024, section 6.1: can un-alignability be told without test samples?
These statistics use no toxic prompt and no scorer; whether they predict measured survival is for
`rank_correlation` to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from bezoar.attack.attack import released
from bezoar.attack.noise import WeightNoise
from bezoar.compare.models.activations import checked_neurons
from bezoar.edits import Edit, NoOp
from bezoar.edits.weight import find_parameter
from bezoar.errors import DataError, NotFoldable, several
from bezoar.locate import Direction
from bezoar.locate.values import check_width
from bezoar.models import Batch, LanguageModel, Site
from bezoar.runs.results import Result

HALF = 0.5  # of the edit's effect: where the basin is said to end
_HEADINGS = {
    "basin_width": "σ of weight noise at which half of its effect is left",
    "key_margin": "how far toxic neurons are pushed down (base sd)",
    "relative_norm": "‖ΔW‖ / ‖W‖ of the matrices it changes",
    "stable_rank": "‖ΔW‖² / σ₁², mean weighted by energy",
    "value_energy": "energy along the direction left in toxic value vectors",
}


@dataclass(frozen=True, slots=True)
class SampleFree(Result):
    """Statistics of an edit that need no toxic sample.

    Attributes:
        edit: its name.
        basin_width: the relative norm σ of weight noise at which half of the edit's effect on the
            final residual is left; the largest tried, if more is (``basin_open``). None where it
            does not apply: a word ban moves no residual.
        basin_open: whether the basin is wider than the largest σ tried.
        key_margin: mean over neurons of (base − edited) pre-activation on neutral text, in standard
            deviations of the base's: how far they would have to be turned up again.
        relative_norm: ``‖ΔW‖ / ‖W‖`` over the matrices that change; None if it is no change of
            matrices (a bias, a hook).
        stable_rank: ``‖ΔW‖_F² / ‖ΔW‖_2²``, mean over those weighted by ``‖ΔW‖_F²``.
        value_energy: ``Σ (v·ŵ)²`` over the neurons' value vectors, edited / base.
    """

    edit: str
    basin_width: float | None
    basin_open: bool
    key_margin: float
    relative_norm: float | None
    stable_rank: float | None
    value_energy: float

    def statistics(self) -> dict[str, float]:
        """Those that have a value, by name."""
        found = {name: getattr(self, name) for name in _HEADINGS}
        return {name: value for name, value in found.items() if value is not None}

    def __rich__(self) -> Table:
        table = Table("statistic", "value", "meaning", title=f"{self.edit}, without samples")
        for name, value in self.statistics().items():
            more = "> " if name == "basin_width" and self.basin_open else ""
            table.add_row(name.replace("_", " "), f"{more}{value:.3g}", _HEADINGS[name])
        return table


def sample_free(
    lm: LanguageModel,
    edit: Edit,
    neutral: Sequence[str],
    direction: Direction,
    neurons: Sequence[tuple[int, int]],
    *,
    sigmas: Sequence[float] = (0.01, 0.03, 0.1, 0.3),
    directions: int = 5,
    max_tokens: int = 64,
    seed: int = 0,
) -> SampleFree:
    """Measure an edit without toxic prompts and without a scorer.

    Args:
        lm: the base model.
        edit: the remedy; it is looked at as it would be released.
        neutral: a handful of ordinary texts, of two different tokens at least.
        direction: the toxic direction (a probe's).
        neurons: (layer, index) of toxic value vectors, for instance of a `ValueRanking`.
        sigmas, directions, seed: of the weight noise.
        max_tokens: texts are cut there.

    Raises:
        DataError: with fewer than two different tokens, without neurons, for one that the model
            does not have, or a direction of another width.
        SiteError: for a neuron of a layer that it does not have.
        ConfigError: for a σ that is none, or no direction of the noise.
    """
    rows = [ids for ids in lm.encode(list(several(neutral, "neutral texts")), max_tokens) if ids]
    if (tokens := len({token for ids in rows for token in ids})) < 2:
        raise DataError(
            f"Of neutral texts with {tokens} different tokens nothing has a standard deviation.",
            hint="Give a handful of ordinary texts.",
        )
    check_width(lm, direction.vector, direction.name)
    neurons = checked_neurons(lm, neurons)
    noise = WeightNoise(tuple(sorted(sigmas)), directions, seed)
    noise.settings(lm)
    batch, remedy = lm.batch(rows), released(lm, edit)
    width, is_open = basin_width(lm, remedy, batch, noise)
    norm, rank = spectrum(lm, remedy)
    return SampleFree(
        edit=edit.name,
        basin_width=width,
        basin_open=is_open,
        key_margin=key_margin(lm, remedy, batch, neurons),
        relative_norm=norm,
        stable_rank=rank,
        value_energy=value_energy(lm, remedy, direction, neurons),
    )


def basin_width(
    lm: LanguageModel, remedy: Edit, batch: Batch, noise: WeightNoise
) -> tuple[float | None, bool]:
    """σ at which half of the remedy's effect is left, and whether more is left at every σ.

    With h the final residual under equal noise on both sides, ``s(σ) = h_edited − h_base`` and what
    is left is ``⟨s(σ), s(0)⟩ / max(‖s(σ)‖², ‖s(0)‖²)``: 1 only if nothing changes, so an effect
    that noise blows up is lost as well. It is averaged over directions of the noise, and
    interpolated linearly between two σ. None if the remedy moves nothing: it has no basin.
    """
    still = _shift(lm, remedy, NoOp(), NoOp(), batch)
    energy = float(still.square().sum())
    if energy == 0:
        return None, False
    on_edited, on_base = noise.against(lm, remedy), noise.against(lm, NoOp())
    left: dict[float, list[float]] = {}
    for setting in noise.settings(lm):
        moved = _shift(lm, remedy, on_edited(setting), on_base(setting), batch)
        most = max(energy, float(moved.square().sum()))
        left.setdefault(setting.budget, []).append(float((moved * still).sum()) / most)
    before, above = 0.0, 1.0
    for sigma, values in left.items():
        share = float(np.mean(values))
        if share < HALF:
            return before + (sigma - before) * (above - HALF) / (above - share), False
        before, above = sigma, share
    return before, True


def _shift(
    lm: LanguageModel, remedy: Edit, on_edited: Edit, on_base: Edit, batch: Batch
) -> Float[Tensor, "rows d_model"]:
    site = Site(lm.n_layers - 1, "resid_post")
    with remedy.then(on_edited).applied_to(lm):
        edited = _rows(lm, batch, site)
    with on_base.applied_to(lm):
        return edited - _rows(lm, batch, site)


@torch.no_grad()
def _rows(lm: LanguageModel, batch: Batch, site: Site) -> Float[Tensor, "rows d"]:
    return lm.capture(batch, [site])[site][batch.mask].double()


def key_margin(
    lm: LanguageModel, remedy: Edit, batch: Batch, neurons: Sequence[tuple[int, int]]
) -> float:
    """Mean drop of the neurons' pre-activations (of gated MLPs: of the gate's), in base sd."""
    point = "mlp_gate" if lm.gated else "mlp_pre"
    drops: list[float] = []
    for layer in sorted({layer for layer, _ in neurons}):
        site = lm.site(Site(layer, point))
        chosen = [index for at, index in neurons if at == layer]
        base = _rows(lm, batch, site)[:, chosen]
        with remedy.applied_to(lm):
            edited = _rows(lm, batch, site)[:, chosen]
        drop = (base.mean(0) - edited.mean(0)) / base.std(0).clamp_min(1e-12)
        drops += drop.tolist()
    return float(np.mean(drops))


@torch.no_grad()
def spectrum(lm: LanguageModel, remedy: Edit) -> tuple[float | None, float | None]:
    """Relative norm and stable rank of what a remedy changes of matrices; None if of none.

    A tied matrix is one, though it stands under each of its names; where the remedy gives its
    names unlike values they are two.
    """
    try:
        values = remedy.fold(lm).new_values(lm)
    except NotFoldable:
        return None, None
    changed = before = ranks = 0.0
    seen: dict[int, list[Tensor]] = {}  # new values, by the parameter that had the old ones
    for name, new in values.items():
        parameter = find_parameter(lm, name)
        counted = seen.setdefault(id(parameter), [])
        if any(new is other or torch.equal(new, other) for other in counted):
            continue
        counted.append(new)
        old = parameter.detach()
        delta = (new - old).double()
        energy = float(delta.square().sum())
        if delta.ndim == 2 and energy > 0:
            largest = float(torch.linalg.matrix_norm(delta.float(), ord=2)) ** 2
            changed, before = changed + energy, before + float(old.double().square().sum())
            ranks += energy * energy / largest
    if changed == 0:
        return None, None
    return math.sqrt(changed / before), ranks / changed


def value_energy(
    lm: LanguageModel, remedy: Edit, direction: Direction, neurons: Sequence[tuple[int, int]]
) -> float:
    """``Σ (v·ŵ)²`` over value vectors, edited / base."""

    def energy() -> float:
        unit = direction.vector.double()
        found = (lm.values(layer)[index].detach().double().cpu() @ unit for layer, index in neurons)
        return float(sum(value**2 for value in found))

    base = energy()
    if base == 0:
        raise DataError("The neurons write nothing along the direction.", hint="Rank them by it.")
    with remedy.applied_to(lm):
        return energy() / base
