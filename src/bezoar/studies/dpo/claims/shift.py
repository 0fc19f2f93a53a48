"""Section 5: where the shift of the residual stream comes from."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from bezoar.compare.models import ShiftSources
from bezoar.compare.models.shown import p_value, plain
from bezoar.report.dpo.paper import SECTIONS
from bezoar.stats import Interval
from bezoar.studies.claims.rules import (
    HALF,
    Finding,
    above,
    all_of,
    below,
    claim,
    not_measured,
)
from bezoar.studies.dpo.claims.found import Found
from bezoar.studies.dpo.claims.mechanism import MOST, NOT_COMPARED


@claim(
    "shift-consistent",
    "DPO moves the residual stream of all prompts in one direction.",
    f"Figures 4 and 6, {SECTIONS['mechanism']}",
    "share of prompts that move along the mean shift of the others",
)
def shift_consistent(found: Found) -> Finding:
    """Holds if more than four in five do, Wilson's interval and all; fails if fewer do. Of several
    layers that of the most toxic value vector beyond the first layer counts."""
    if not found.shifts:
        return not_measured(NOT_COMPARED)
    shift = found.shifts[0]
    share = wilson(shift.consistency, len(shift.points))
    others = ", ".join(f"{s.site} {s.consistency:.0%}" for s in found.shifts[1:])
    why = (
        f"At {shift.site}, {len(shift.points)} prompts: mean cosine {plain(shift.cosine)}, "
        f"‖δ‖ {shift.relative:.1%} of the states' norm."
    )
    return Finding(above(share, MOST), share, why + (f" Elsewhere: {others}." if others else ""))


@claim(
    "shift-opposed",
    "Value vectors of earlier layers moved against the shift of the residual stream.",
    f"Figures 5 and 7-10, {SECTIONS['mechanism']}",
    "share of those that moved with a negative cosine to the shift, all earlier layers",
)
def shift_opposed(found: Found) -> Finding:
    """Holds if more than half do at every layer whose shift was looked at, interval and all; fails
    if half or fewer do at all layers together, interval and all. All value vectors are counted; the
    shift is a mean over prompts, and intervals are by prompt. (That of all layers together is as
    if their shifts erred together: too wide, if anything.)"""
    seen = [
        (source, _against(source) / n, source.opposing, n)
        for source in found.sources
        if (n := sum(layer.moved for layer in source.layers))
    ]
    return _over_shifts(seen, HALF, "{:.0%}")


def _against(source: ShiftSources) -> float:
    """How many value vectors moved against the shift."""
    return sum((layer.opposing or 0.0) * layer.moved for layer in source.layers)


@claim(
    "activations-negative",
    "Most neurons of these earlier layers are a little below zero on average, so that vectors "
    "that moved against the shift push along it.",
    f"Figures 5 and 7-10, {SECTIONS['mechanism']}",
    "share of neurons of all earlier layers whose mean coefficient is negative",
)
def activations_negative(found: Found) -> Finding:
    """Holds if more than half are below every layer whose shift was looked at, interval and all;
    fails if half or fewer are in all these layers together, interval and all. All neurons are
    counted; a neuron's coefficient is a mean over prompts, and intervals are by prompt, as in the
    claim before."""
    seen = [
        (
            source,
            sum(layer.negative for layer in layers) / len(layers),
            source.negative,
            len(layers),
        )
        for source in found.sources
        if (layers := source.layers)
    ]
    return _over_shifts(seen, HALF, "{:.0%}")


@claim(
    "sources-add-up",
    "Added up over neurons and layers, moved value vectors push along the shift.",
    SECTIONS["mechanism"],
    "Σ mean coefficient × (movement of the value vector along δ) / ‖δ‖, mean over the shifts",
)
def sources_add_up(found: Found) -> Finding:
    """Holds if the sum over the earlier layers is positive for every shift that was looked at,
    interval and all; fails if their mean is not, interval and all. Coefficients and shift are means
    over prompts, and intervals are by prompt, as in the two claims before."""
    seen = [
        (source, sum(layer.along for layer in source.layers) / source.norm, source.along, 1)
        for source in found.sources
        if source.norm
    ]
    return _over_shifts(seen, 0.0, "{:+.1%}")


def _over_shifts(
    seen: Sequence[tuple[ShiftSources, float, Interval | None, int]], limit: float, digits: str
) -> Finding:
    """Whether a number lies above a limit for every shift; fails if their mean lies below it.

    Args:
        seen: a shift each: its number, that with its interval (None in results of before), and its
            weight in the mean.
        limit: what counts as none.
        digits: format of a number.
    """
    if not seen:
        return not_measured("No value vector of an earlier layer moved, or none was looked at.")
    told = "; ".join(_told(source, value, own, digits) for source, value, own, _ in seen)
    intervals = [own for _, _, own, _ in seen if own is not None]
    if len(intervals) < len(seen):
        why = f"How far other prompts would change it was not kept. By shift: {told}."
        return Finding("undecided", None, why)
    weights = [weight for *_, weight in seen]
    mean = Interval(*(_mean(column, weights) for column in _columns(intervals)))
    if below(mean, limit) == "holds":
        return Finding("fails", mean, f"By shift: {told}.")
    every = all_of(*(above(own, limit) for own in intervals))
    return Finding("holds" if every == "holds" else "undecided", mean, f"By shift: {told}.")


def _columns(intervals: Sequence[Interval]) -> tuple[tuple[float, ...], ...]:
    """Values, lower and upper bounds."""
    return tuple(zip(*((own.value, own.low, own.high) for own in intervals), strict=True))


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def _told(source: ShiftSources, value: float, own: Interval | None, digits: str) -> str:
    bounds = "" if own is None else f" [{digits.format(own.low)}, {digits.format(own.high)}]"
    return f"{source.site} {digits.format(value)}{bounds}"


@claim(
    "neurons-part",
    "Toxic neurons explain only a part of what DPO changes: less than half.",
    "Yang et al. 2025 (2.5-24 %)",
    "share of all neurons' change along the probe that toxic neurons make",
)
def neurons_part(found: Found) -> Finding:
    """Holds if the interval lies below one half; fails if it lies above."""
    if found.contributions is None:
        return not_measured(NOT_COMPARED)
    parts = found.contributions
    if parts.toxic_share is None:
        return Finding("undecided", None, "The change of all neurons is not clearly of one sign.")
    why = f"{parts.toxic_n} of {parts.neurons_n:,} neurons."
    if parts.null_p is not None:
        why += f" As many random ones explain as much with p {p_value(parts.null_p)}."
    return Finding(below(parts.toxic_share, HALF), parts.toxic_share, why, parts.null_p)


def wilson(share: float, n: int) -> Interval:
    """Wilson's (1927) 95 % interval of a share of ``n``."""
    z2 = 1.959964**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


CLAIMS = (
    shift_consistent,
    shift_opposed,
    activations_negative,
    sources_add_up,
    neurons_part,
)
