"""What each part of a comparison says, in one sentence."""

from __future__ import annotations

from functools import singledispatch

from bezoar.compare.models.activations import ActivationDrop
from bezoar.compare.models.contribution_results import Contributions
from bezoar.compare.models.drift import WeightDrift
from bezoar.compare.models.drifts import drift_summary
from bezoar.compare.models.heads import HeadContributions
from bezoar.compare.models.interpolation import Interpolation
from bezoar.compare.models.lens import LensComparison
from bezoar.compare.models.shift import ResidualShifts
from bezoar.compare.models.shown import near_one, p_value, signed
from bezoar.compare.models.sources import SourcesByLayer
from bezoar.compare.models.values import ValuesKept
from bezoar.stats.intervals import Interval

ALIKE = 0.99
"""The least cosine of any tensor at which "nothing moved" (Lee et al. 2024, section 5.1)."""
LEVEL = 0.05


@singledispatch
def verdict(part: object) -> str:
    """One sentence; empty for a part that is only to be looked at."""
    return ""


@verdict.register
def _(part: WeightDrift) -> str:
    row = drift_summary(part)
    if not row.moved:
        return "No weight changed."
    how = "hardly moved" if row.least_cosine > ALIKE else "moved"
    component = max(row.components, key=lambda name: row.components[name])
    cosines = f"cosine {near_one(row.cosine)}, the least of a tensor {near_one(row.least_cosine)}"
    return (
        f"The weights {how}: by {row.relative:.2%} of their norm ({cosines}); most of it in "
        f"{component.replace('_', ' ')}, {row.components[component]:.0%}."
    )


@verdict.register
def _(part: ValuesKept) -> str:
    if part.identity:
        return "No value vector changed: it could not be otherwise."
    null = ""
    if part.null_p is not None:
        more = "more than" if part.null_p <= LEVEL else "no further than"
        null = f" They moved {more} random ones (p {p_value(part.null_p)})."
    return (
        f"{part.ranking:.0%} of the {len(part.vectors)} value vectors nearest to {part.direction} "
        f"are still among the nearest; mean cosine before to after {near_one(part.cosine.value)}."
        f"{null}"
    )


@verdict.register
def _(part: LensComparison) -> str:
    change, steps = part.change[-1], part.most_changed(1)
    at = f", most in {steps[0].component}" if steps and change.high < 0 else ""
    return (
        f"At the last state the tokens {_went(change, 'become rarer', 'become likelier')}: "
        f"{part.base[-1].value:.3g} to {part.edited[-1].value:.3g} over {part.prompts_n} prompts"
        f"{at}; {part.base_says} of these elicit one, {part.edited_says} once edited."
    )


@verdict.register
def _(part: ActivationDrop) -> str:
    null = ""
    if part.null_p is not None:
        null = f" As many random neurons fall as far with p {p_value(part.null_p)}."
    return (
        f"The neurons {_went(part.change, 'fall', 'rise')} on average, by {signed(part.change)}; "
        f"{part.fell:.0%} of {len(part.neurons)} fell, {part.rose:.0%} rose.{null}"
    )


@verdict.register
def _(part: ResidualShifts) -> str:
    first = part.shifts[0]
    if not first.norm:
        return f"The residual stream did not move at {first.site}."
    return (
        f"At {first.site} the stream moved by {first.relative:.1%} of its norm; "
        f"{first.consistency:.0%} of the prompts moved along the shift of the others "
        f"(cosine {first.cosine.value:.2f})."
    )


@verdict.register
def _(part: SourcesByLayer) -> str:
    first = part.sources[0]
    moved = [s for s in first.layers if s.opposing is not None]
    if not moved or not first.norm:
        return f"No value vector below {first.site} moved."
    opposing = sum(s.moved * (s.opposing or 0) for s in moved) / sum(s.moved for s in moved)
    along = sum(s.along for s in first.layers) / first.norm
    return (
        f"Of the value vectors before {first.site}, {opposing:.0%} moved against its shift; with "
        f"their mean coefficients the moves of these layers make {along:.1%} of it."
    )


@verdict.register
def _(part: Contributions) -> str:
    went = _went(part.measured, "is lowered", "is raised", "does not clearly change")
    if part.toxic_share is None:
        share = "no share of it is defined"
    else:
        null = "" if part.null_p is None else f" (as much by random ones: p {p_value(part.null_p)})"
        share = f"the {part.toxic_n} most toxic neurons make {part.toxic_share.value:.0%}{null}"
    what = f"What all MLPs write along {part.direction}"
    return f"{what} {went}: {signed(part.measured)}; {share}."


@verdict.register
def _(part: HeadContributions) -> str:
    changed = part.changed()
    most = f", most {changed[0].layer}.{changed[0].head}" if changed else ""
    return (
        f"{len(changed)} of {len(part.heads)} heads write more or less along {part.target}{most} "
        "(false discovery rate 5 %)."
    )


@verdict.register
def _(part: Interpolation) -> str:
    at = {p.t: p for p in part.points}
    told = [f"{at[t].value.value:.3g} at t = {t:g}" for t in (-1.0, 0.0, 1.0, 2.0) if t in at]
    return f"{part.measure}: {', '.join(told)}."


def _went(change: Interval, down: str, up: str, neither: str = "do not clearly change") -> str:
    return down if change.high < 0 else up if change.low > 0 else neither
