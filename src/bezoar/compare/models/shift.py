"""The residual stream before and after: a common shift, seen along two axes (figures 4 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64
from rich.table import Table

from bezoar.compare.models.activations import checked_neurons
from bezoar.compare.models.passes import checked_prompts
from bezoar.compare.models.shown import plain
from bezoar.compare.models.side import Side, sides_of
from bezoar.edits import Edit
from bezoar.errors import ConfigError, did_you_mean
from bezoar.locate.last_tokens import batches_of, encode_for, last_values
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import mean_interval
from bezoar.stats.intervals import Interval

Mode = Literal["correct", "paper", "code"]
MODES = ("correct", "paper", "code")


@dataclass(frozen=True, slots=True)
class ShiftedPoint(Result):
    """One prompt in the picture, before and after.

    Attributes:
        base_x, base_y, edited_x, edited_y: along the shift and along the first component.
        base_coefficient, edited_coefficient: of the neuron; None if none was asked for.
    """

    base_x: float
    base_y: float
    edited_x: float
    edited_y: float
    base_coefficient: float | None
    edited_coefficient: float | None


@dataclass(frozen=True, slots=True, repr=False)
class ResidualShift(Result):
    """How the residual stream at one site moved from base to edited.

    Attributes:
        base_name, edited_name: of the models.
        site: where the stream was read, at the last token of each prompt.
        mode: whose convention.
        neuron: whose coefficients colour the picture, as "layer.index"; "" for none.
        points: one a prompt.
        norm: of the mean difference δ.
        relative: that, by the mean norm of the base's states.
        consistency: share of prompts whose own difference points along the δ *of the others*.
        cosine: of a prompt's own difference and the δ of the others, mean over prompts.
        explained: shares of the variance of the standardised states along the first components.
        axis_cosine: |cosine| of δ and the first component (in standardised units).
        base_coefficient, edited_coefficient: mean over prompts; None without a neuron.
    """

    base_name: str
    edited_name: str
    site: str
    mode: Mode
    neuron: str
    points: tuple[ShiftedPoint, ...]
    norm: float
    relative: float
    consistency: float
    cosine: Interval
    explained: tuple[float, ...]
    axis_cosine: float
    base_coefficient: Interval | None
    edited_coefficient: Interval | None

    def __rich__(self) -> Table:
        title = f"shift of {self.site} from {self.base_name} to {self.edited_name}"
        table = Table("measure", "value", title=title)
        table.add_row("‖δ‖", f"{self.norm:.4g} ({self.relative:.1%} of the states' norm)")
        table.add_row("prompts that move along δ", f"{self.consistency:.0%}")
        table.add_row("cosine of a prompt's shift to δ", str(self.cosine))
        table.add_row("variance along PC1", f"{self.explained[0]:.1%}")
        if self.base_coefficient is not None and self.edited_coefficient is not None:
            table.add_row(f"neuron {self.neuron}, base", plain(self.base_coefficient))
            table.add_row(f"neuron {self.neuron}, edited", plain(self.edited_coefficient))
        return table


@dataclass(frozen=True, slots=True, repr=False)
class ResidualShifts(Result):
    """The shift at several sites, each coloured by a neuron that writes there (figures 4 and 6)."""

    shifts: tuple[ResidualShift, ...]

    def __rich__(self) -> Table:
        columns = ("site", "‖δ‖", "relative", "along δ", "cosine", "neuron", "coefficient")
        table = Table(*columns, title="shift of the residual stream, prompt by prompt")
        for s in self.shifts:
            told = "–"
            if s.base_coefficient is not None and s.edited_coefficient is not None:
                told = f"{s.base_coefficient.value:.3f} → {s.edited_coefficient.value:.3f}"
            moved = f"{s.norm:.3g}", f"{s.relative:.1%}", f"{s.consistency:.0%}"
            table.add_row(s.site, *moved, f"{s.cosine.value:.2f}", s.neuron or "–", told)
        return table


@torch.no_grad()
def residual_shift(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    prompts: Sequence[str],
    layer: int,
    neuron: int | None = None,
    *,
    point: str = "resid_mid",
    mode: Mode = "correct",
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ResidualShift:
    """States of both models along their mean difference and first component (Lee et al., Fig. 4).

    The horizontal axis is the projection on the unit vector of δ = mean(edited - base), counted
    from the base's mean, so that the two clouds lie ‖δ‖ apart; the vertical axis is the first
    principal component of all states, standardised in each dimension.

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        prompts: texts, each read at its last token; the paper takes 52 and draws 30.
        layer: of the residual stream.
        neuron: one of this layer, whose coefficient colours the picture.
        point: which state; where attention and MLP run in parallel there is no ``resid_mid``, and
            "resid_pre" is what the MLP reads.
        mode: "code" reproduces the reference: δ is not made a unit vector, nothing is counted from
            the base's mean, and the "activation" is ``act(state · key)``, of the state before its
            norm and without the bias, which exceeds the true coefficient many times. The paper
            says nothing of these: "paper" is "correct".
        budget_tokens: padded tokens of a batch.
        max_tokens: keep the first tokens of a prompt only. One that is longer than the model's
            context keeps its last ones in any case.
        seed: of the bootstrap over prompts.
        progress: where to show it.

    Raises:
        SiteError: if the model has no such state.
        ConfigError: for an unknown mode, ``mode="code"`` for a neuron of a gated MLP, or
            ``max_tokens`` below 1.
        DataError: if there are fewer than three prompts, or no such neuron.
        ModelError: if the models differ in shape or tokenizer.
    """
    if mode not in MODES:
        raise ConfigError(f"mode={mode!r} is not known.", hint=did_you_mean(mode, MODES))
    site = base.site(Site(layer, point))
    layer = site.layer or 0
    if neuron is not None:
        checked_neurons(base, [(layer, neuron)])
        if mode == "code" and base.anatomy[layer].gated:
            raise ConfigError(
                "The reference's activation is act(state · key), and a gated neuron has two keys.",
                hint="Use mode='correct', which reads the coefficient itself.",
            )
    encoded = encode_for(base, checked_prompts(prompts, 3), max_tokens)
    sides = sides_of(base, edited)
    seen = [_states(side, encoded, site, neuron, mode, budget_tokens, progress) for side in sides]
    (before, low), (after, high) = seen
    return _result(sides, site, mode, neuron, before, after, low, high, seed)


def _states(
    side: Side,
    encoded: Sequence[list[int]],
    site: Site,
    neuron: int | None,
    mode: Mode,
    budget_tokens: int,
    progress: Progress | None,
) -> tuple[Float64[np.ndarray, "prompts d_model"], Float64[np.ndarray, " prompts"] | None]:
    """The states at the last token, and the neuron's coefficients there."""
    layer = site.layer or 0
    post = Site(layer, "mlp_post")
    honest = neuron is not None and mode != "code"
    with side.opened() as lm:
        states = np.empty((len(encoded), lm.d_model))
        coefficients = np.empty(len(encoded))
        batches = list(batches_of(encoded, budget_tokens))
        for rows in track(progress, batches, "Reading states", unit="batches"):
            ids = [encoded[i] for i in rows]
            values = last_values(lm, ids, [site, post] if honest else [site])
            states[rows] = values[site].double().cpu()
            if honest:
                coefficients[rows] = values[post][:, neuron].double().cpu()
            elif neuron is not None:
                raw = lm.act_fn(values[site] @ lm.keys(layer)[neuron])
                coefficients[rows] = raw.double().cpu()
    return states, None if neuron is None else coefficients


def _result(
    sides: tuple[Side, Side],
    site: Site,
    mode: Mode,
    neuron: int | None,
    before: Float64[np.ndarray, "prompts d_model"],
    after: Float64[np.ndarray, "prompts d_model"],
    low: Float64[np.ndarray, " prompts"] | None,
    high: Float64[np.ndarray, " prompts"] | None,
    seed: int,
) -> ResidualShift:
    moves = after - before
    delta = moves.mean(axis=0)
    norm = float(np.linalg.norm(delta))
    axis = delta if mode == "code" or norm == 0 else delta / norm
    origin = np.zeros_like(delta) if mode == "code" else before.mean(axis=0)
    heights, component, explained, spread = first_component(np.concatenate([before, after]))
    own = _along_the_others(moves)
    x = [(states - origin) @ axis for states in (before, after)]
    y = np.split(heights, 2)
    none: list[None] = [None] * len(before)
    colours = none if low is None else low.tolist(), none if high is None else high.tolist()
    scaled = delta / spread
    size = float(np.linalg.norm(scaled))
    columns = (x[0].tolist(), y[0].tolist(), x[1].tolist(), y[1].tolist(), *colours)
    return ResidualShift(
        base_name=sides[0].name,
        edited_name=sides[1].name,
        site=str(site),
        mode=mode,
        neuron="" if neuron is None else f"{site.layer}.{neuron}",
        points=tuple(ShiftedPoint(*row) for row in zip(*columns, strict=True)),
        norm=norm,
        relative=norm / float(np.linalg.norm(before, axis=1).mean()),
        consistency=float((own > 0).mean()),
        cosine=mean_interval(own, seed=seed),
        explained=explained,
        axis_cosine=abs(float(scaled @ component)) / size if size else 0.0,
        base_coefficient=None if low is None else mean_interval(low, seed=seed),
        edited_coefficient=None if high is None else mean_interval(high, seed=seed),
    )


def first_component(
    states: Float64[np.ndarray, "rows d"], keep: int = 5
) -> tuple[
    Float64[np.ndarray, " rows"],
    Float64[np.ndarray, " d"],
    tuple[float, ...],
    Float64[np.ndarray, " d"],
]:
    """Rows along the first principal component of the standardised states.

    Returns:
        The projections; the component (its largest entry is positive); the shares of variance of
        the first ``keep`` components; the standard deviations by which the states were divided.
    """
    components, shares, spread = principal_components(states, keep)
    standard = (states - states.mean(axis=0)) / spread
    return standard @ components[0], components[0], shares, spread


def principal_components(
    states: Float64[np.ndarray, "rows d"], keep: int
) -> tuple[Float64[np.ndarray, "kept d"], tuple[float, ...], Float64[np.ndarray, " d"]]:
    """Orthonormal components of the standardised states, their shares, and the deviations.

    A dimension without variance is left as it is. Signs are fixed by the largest entry.
    """
    spread = states.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standard = (states - states.mean(axis=0)) / spread
    _, singular, components = np.linalg.svd(standard, full_matrices=False)
    components = components[:keep]
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(len(components)), largest])[:, None]
    energy = singular**2
    total = float(energy.sum()) or 1.0
    return components, tuple((energy[:keep] / total).tolist()), spread


def _along_the_others(
    moves: Float64[np.ndarray, "prompts d_model"],
) -> Float64[np.ndarray, " prompts"]:
    """Cosine of each prompt's difference and the mean difference of all the other prompts."""
    others = moves.sum(axis=0) - moves
    norms = np.linalg.norm(moves, axis=1) * np.linalg.norm(others, axis=1)
    return (moves * others).sum(axis=1) / np.where(norms > 0, norms, 1.0)
