"""Where the shift comes from: value vectors that moved against it, coefficients below zero.

A value vector that moved by δ_v adds a·δ_v to the stream. Where the cosine of δ_v to the shift δ_x
is negative and the coefficient is too (an unfired GELU is a little below zero), their product
points along the shift: many small steps of neurons that hardly fire (Lee et al. 2024, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from rich.table import Table
from torch import Tensor

from bezoar.compare.models.passes import checked_draws, checked_prompts
from bezoar.compare.models.shift import MODES, Mode
from bezoar.compare.models.side import Side, require_dense_mlps, sides_of
from bezoar.compare.models.source_draws import GROUPS, Draws, Sums
from bezoar.edits import Edit
from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.locate.last_tokens import batches_of, encode_for
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval

BINS = 100
_MOST = 10  # earlier layers by default


@dataclass(frozen=True, slots=True)
class Histogram(Result):
    """Shares of values in equal bins; the end bins hold what lies beyond."""

    low: float
    high: float
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SourceLayer(Result):
    """One earlier layer.

    Attributes:
        layer: which.
        moved: how many of its value vectors changed at all.
        mean_cosine: of δ_v and δ_x over those that did; None if none did.
        opposing: share of those with a negative cosine.
        cosines: their histogram over [-1, 1]; None if none moved.
        mean_activation: of the edited model, over neurons and positions.
        negative: share of neurons whose mean activation is negative.
        activations: histogram of the neurons' mean activations.
        along: Σ_i ā_i (δ_v,i · δ̂_x): what the moved value vectors add along the shift.
    """

    layer: int
    moved: int
    mean_cosine: float | None
    opposing: float | None
    cosines: Histogram | None
    mean_activation: float
    negative: float
    activations: Histogram
    along: float


@dataclass(frozen=True, slots=True, repr=False)
class ShiftSources(Result):
    """The shift of one state beside the shifts of the value vectors of earlier layers.

    Attributes:
        base_name, edited_name: of the models.
        site: where δ_x was read.
        mode: whose convention.
        norm: of δ_x.
        layers: the earlier layers, first to last.
        prompts_n, positions_n: what was averaged.
        opposing, negative, along: of these layers together, with intervals by prompt, since δ_x and
            the coefficients are averages over prompts: the share of moved value vectors with a
            negative cosine, the share of neurons with a negative mean activation, and what the
            moved vectors add along the shift, by ‖δ_x‖. None where there is no such number, with a
            single prompt, and in results that were saved without them.
    """

    base_name: str
    edited_name: str
    site: str
    mode: Mode
    norm: float
    layers: tuple[SourceLayer, ...]
    prompts_n: int
    positions_n: int
    opposing: Interval | None = None
    negative: Interval | None = None
    along: Interval | None = None

    def __rich__(self) -> Table:
        title = f"value vectors against the shift of {self.site} (‖δ‖ {self.norm:.3g})"
        columns = ("layer", "moved", "cosine", "opposing", "activation", "negative", "along δ")
        table = Table(*columns, title=title)
        for s in self.layers:
            cosine = "–" if s.mean_cosine is None else f"{s.mean_cosine:+.3f}"
            opposing = "–" if s.opposing is None else f"{s.opposing:.0%}"
            activation = f"{s.mean_activation:+.3f}", f"{s.negative:.0%}"
            table.add_row(
                str(s.layer), str(s.moved), cosine, opposing, *activation, f"{s.along:+.2g}"
            )
        return table


@dataclass(frozen=True, slots=True, repr=False)
class SourcesByLayer(Result):
    """The sources of the shift at several layers (figures 5 and 7 to 10)."""

    sources: tuple[ShiftSources, ...]

    def __rich__(self) -> Table:
        columns = ("shift of", "‖δ‖", "mean cosine", "opposing", "negative", "along δ")
        table = Table(*columns, title="value vectors of earlier layers against each shift")
        for found in self.sources:
            moved = [s for s in found.layers if s.mean_cosine is not None]
            n = sum(s.moved for s in moved)
            cosine = opposing = "–"
            if n:
                cosine = f"{sum(s.moved * (s.mean_cosine or 0) for s in moved) / n:+.3f}"
                opposing = f"{sum(s.moved * (s.opposing or 0) for s in moved) / n:.0%}"
            negative = f"{np.mean([s.negative for s in found.layers]):.0%}"
            along = f"{sum(s.along for s in found.layers):+.2g}"
            table.add_row(found.site, f"{found.norm:.3g}", cosine, opposing, negative, along)
        return table


@torch.no_grad()
def shift_sources(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    prompts: Sequence[str],
    layer: int,
    earlier: Sequence[int] | None = None,
    *,
    point: str = "resid_mid",
    mode: Mode = "correct",
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    resamples: int = 1_000,
    seed: int = 0,
    progress: Progress | None = None,
) -> ShiftSources:
    """Cosines of δ_x with the δ of earlier value vectors (Lee et al. 2024, Figures 5, 7-10).

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        prompts: δ_x and mean activations are averages over all their tokens.
        layer: whose residual state shifts; 19 in the paper's Figure 5.
        earlier: layers below it; if None, ten of them evenly spread.
        point: which state; "resid_pre" where attention and MLP run in parallel.
        mode: "code" counts padding (left, to the longest prompt of a batch of four) in both
            averages and rounds cosines to two decimals, as the reference does; the paper says
            nothing of either: "paper" is "correct".
        budget_tokens: padded tokens of a batch.
        max_tokens: keep the first tokens of a prompt only. One that is longer than the model's
            context keeps its last ones in any case.
        resamples, seed: of the bootstrap by prompt; of more than 256 prompts by so many groups.
            Without resamples there are no intervals.
        progress: where to show it.

    Raises:
        SiteError: if the model has no such state.
        ConfigError: for an unknown mode, ``max_tokens`` below 1, or ``resamples`` below 0.
        DataError: if an earlier layer is not below, or there is no prompt.
        UnsupportedAnatomy: if a layer has no value vectors (a mixture of experts).
        ModelError: if the models differ in shape or tokenizer.
    """
    if mode not in MODES:
        raise ConfigError(f"mode={mode!r} is not known.", hint=did_you_mean(mode, MODES))
    site = base.site(Site(layer, point))
    below = _below(site.layer or 0, earlier)
    require_dense_mlps(base)
    encoded = encode_for(base, checked_prompts(prompts, 1), max_tokens)
    resamples = checked_draws(resamples, "resamples")
    first, second = sides_of(base, edited)
    plan = [list(range(i, min(i + 4, len(encoded)))) for i in range(0, len(encoded), 4)]
    if mode != "code":
        plan = list(batches_of(encoded, budget_tokens))
    posts = [Site(j, "mlp_post") for j in below]
    before = _sums(first, encoded, plan, [site], mode, progress)
    after = _sums(second, encoded, plan, [site, *posts], mode, progress)
    shift = after[site].mean() - before[site].mean()
    norm = float(shift.norm())
    unit = shift / norm if norm else shift
    every = torch.cat([after[post].mean() for post in posts]).numpy()
    low = float(min(0.0, np.quantile(every, 0.005)))
    # A few far ones would hide zero; where nearly none fire, those few are all there is to see.
    high = next((q for q in np.quantile(every, (0.9, 0.995, 1.0)) if q > 0), 0.0)
    ends = low, max(-low, float(high))
    draws = Draws(before[site], after[site], rounded=mode == "code", resamples=resamples, seed=seed)
    old = {j: base.values(j).float().clone() for j in below}  # the edit may be of this very model
    found = []
    with second.opened() as lm:
        for j, post in zip(below, posts, strict=True):
            moves = (lm.values(j).double() - old[j].to(lm.device)).cpu()
            found.append(_layer(j, moves, after[post].mean(), unit, mode, ends))
            draws.add(moves, after[post])
    moved = sum(s.moved for s in found)
    against = sum(s.moved * (s.opposing or 0.0) for s in found)
    negative = float(np.mean([s.negative for s in found]))
    return ShiftSources(
        base_name=first.name,
        edited_name=second.name,
        site=str(site),
        mode=mode,
        norm=norm,
        layers=tuple(found),
        prompts_n=len(encoded),
        positions_n=int(after[site].positions.sum()),
        opposing=draws.opposing(against / moved, moved) if moved else None,
        negative=draws.negative(negative, len(found)),
        along=draws.along(sum(s.along for s in found) / norm) if norm else None,
    )


def _below(layer: int, earlier: Sequence[int] | None) -> list[int]:
    if earlier is None:
        spread = np.linspace(0, layer - 1, min(_MOST, layer))
        earlier = sorted({round(j) for j in spread.tolist()})
    found = sorted(set(earlier))
    if not found or found[0] < 0 or found[-1] >= layer:
        raise DataError(
            f"Earlier layers {found} of layer {layer}.",
            hint=f"Give some from 0 to {layer - 1}." if layer else "Give a layer above the first.",
        )
    return found


def _sums(
    side: Side,
    encoded: Sequence[list[int]],
    plan: Sequence[list[int]],
    sites: Sequence[Site],
    mode: Mode,
    progress: Progress | None,
) -> dict[Site, Sums]:
    """Sums over all positions (padding only in mode "code"), by group of prompts."""
    n = min(len(encoded), GROUPS)
    positions = torch.zeros(n, dtype=torch.float64)
    states: dict[Site, Tensor] = {}
    with side.opened() as lm:
        for rows in track(progress, plan, "Averaging states", unit="batches"):
            batch = lm.batch([encoded[i] for i in rows], side="left")
            where = torch.ones_like(batch.mask) if mode == "code" else batch.mask
            totals = lm.capture(
                batch,
                sites,
                reduce=lambda _, v, w=where: (  # type: ignore[misc]
                    v.masked_fill(~w[..., None], 0).double().sum(1).cpu()
                ),
            )
            groups = torch.tensor([row % n for row in rows])
            for site, total in totals.items():
                into = states.setdefault(site, total.new_zeros(n, total.shape[1]))
                into.index_add_(0, groups, total)
            positions.index_add_(0, groups, where.sum(1).double().cpu())
    return {site: Sums(found, positions) for site, found in states.items()}


def _layer(
    layer: int,
    moves: Float64[Tensor, "d_mlp d_model"],
    activation: Float64[Tensor, " d_mlp"],
    unit: Float64[Tensor, " d_model"],
    mode: Mode,
    ends: tuple[float, float],
) -> SourceLayer:
    sizes = moves.norm(dim=1)
    along = moves @ unit
    moved = sizes > 0
    cosine = along[moved] / sizes[moved]
    if mode == "code":
        cosine = (100 * cosine).round() / 100
    some = bool(moved.any())
    return SourceLayer(
        layer=layer,
        moved=int(moved.sum()),
        mean_cosine=float(cosine.mean()) if some else None,
        opposing=float((cosine < 0).double().mean()) if some else None,
        cosines=_histogram(cosine, (-1.0, 1.0)) if some else None,
        mean_activation=float(activation.mean()),
        negative=float((activation < 0).double().mean()),
        activations=_histogram(activation, ends),
        along=float(activation @ along),
    )


def _histogram(values: Float64[Tensor, " n"], ends: tuple[float, float]) -> Histogram:
    low, high = ends if ends[0] < ends[1] else (-1.0, 1.0)
    counts, _ = np.histogram(values.clamp(low, high).numpy(), BINS, (low, high))
    return Histogram(low, high, tuple((counts / len(values)).tolist()))
