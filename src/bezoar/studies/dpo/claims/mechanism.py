"""Section 5: what moved, and what fell."""

from __future__ import annotations

from bezoar.compare.models.lens import LensComparison
from bezoar.compare.models.shown import p_value, signed
from bezoar.report.dpo.paper import SECTIONS
from bezoar.stats import Interval
from bezoar.studies.claims.results import Verdict, number
from bezoar.studies.claims.rules import (
    Finding,
    above,
    all_of,
    below,
    claim,
    exactly,
    not_measured,
    rare,
)
from bezoar.studies.dpo.claims.found import Found

ELICITING = 8
"""Prompts that elicit a toxic token: of fewer, nothing is said of where the base writes one."""
NEARLY_ONE = 0.99
MOST = 0.8
NOT_COMPARED = "The trained model was not laid beside its base."


@claim(
    "weights-stay",
    "DPO hardly moves the weights: every tensor keeps a cosine above 0.99 to what it was.",
    SECTIONS["mechanism"],
    "smallest cosine of a tensor before and after",
)
def weights_stay(found: Found) -> Finding:
    """Holds if the smallest cosine is above 0.99; fails if not. Nothing is sampled."""
    if found.drift is None:
        return not_measured(NOT_COMPARED)
    tensors = found.drift.tensors
    least = min(tensors, key=lambda tensor: tensor.cosine)
    below_it = sum(tensor.cosine <= NEARLY_ONE for tensor in tensors)
    entry = max(tensor.mean_absolute for tensor in tensors)
    why = (
        f"Least: {least.name}; {below_it} of {len(tensors)} tensors fall below. All together: "
        f"cosine {found.drift.cosine:.6f}, ‖ΔW‖ / ‖W‖ of all weights {found.drift.relative:.2%}. "
        f"Where entries move most, by {entry:.2g} on average (the paper prints less than 1e-5)."
    )
    return Finding("holds" if not below_it else "fails", exactly(least.cosine), why)


@claim(
    "vectors-stay",
    "Toxic value vectors survive DPO: they point where they did and stand for the same tokens.",
    SECTIONS["mechanism"],
    "cosine of such a vector before and after, mean over the vectors",
)
def vectors_stay(found: Found) -> Finding:
    """Holds if every one keeps a cosine above 0.99 and more than four in five of the promoted
    tokens stay, interval and all; fails if a cosine is lower or fewer stay. Where the training
    could not reach value vectors there is nothing to find out."""
    kept = found.values
    if kept is None:
        return not_measured(NOT_COMPARED)
    if kept.identity:
        return not_measured("No value vector was trained, so that none could change.")
    least = min(vector.cosine for vector in kept.vectors)
    tokens: Verdict = "undecided" if kept.tokens is None else above(kept.tokens, MOST)
    why = (
        f"{len(kept.vectors)} vectors, the least {least:.5f}; {kept.ranking:.0%} of them are still "
        f"among the {len(kept.vectors)} nearest to the probe."
    )
    if kept.tokens is not None:
        why += f" Of {kept.promoted} promoted tokens {number(kept.tokens)} stay."
    if kept.null_p is not None:
        why += f" Random vectors moved as far with p {p_value(kept.null_p)}."
    verdict = all_of("holds" if least > NEARLY_ONE else "fails", tokens)
    return Finding(verdict, kept.cosine, why)


@claim(
    "lens-falls",
    "DPO makes toxic tokens less likely where the base was about to write them.",
    "Figure 1",
    "change of their probability at the last state over prompts that elicit one, paired by prompt",
)
def lens_falls(found: Found) -> Finding:
    """Holds if, over the prompts after which the base's likeliest token is one of them, the
    interval lies below zero and below that of the weights moved as far the other way (what was
    chosen for being likely gets less likely by any change); fails if it lies above zero, or above
    that. Undecided if fewer than eight prompts elicit one: others say nothing of it."""
    if found.lens is None:
        return not_measured(NOT_COMPARED)
    lens = found.lens
    change, back = lens.eliciting_change(), _back(found)
    first = next((s for s, c in zip(lens.states, lens.change, strict=True) if c.high < 0), None)
    where = f"below the base's from {first} on" if first else "at no state below the base's"
    why = (
        f"Over all {lens.prompts_n} prompts, of which {lens.base_says} elicit one, "
        f"{lens.edited_says} after DPO: {lens.base[-1].value:.3g} → {lens.edited[-1].value:.3g} "
        f"({signed(lens.change[-1])}); {where}."
    )
    if found.lens_reversed is not None:
        why += f" The other way: {signed(found.lens_reversed.change[-1])}."
    if back is not None and lens.base_says < lens.prompts_n:
        why += f" Over those that elicit one, the other way: {signed(back)}."
    if few := _too_few(lens):
        return Finding("undecided", change, f"{few} {why}")
    if change is None:
        return Finding("undecided", None, f"It was not kept which prompts elicit one. {why}")
    return Finding(_lower(change, back), change, why)


def _back(found: Found) -> Interval | None:
    """What as large a change the other way does over the prompts that elicit one."""
    return None if found.lens_reversed is None else found.lens_reversed.eliciting_change()


def _too_few(lens: LensComparison) -> str:
    """Why the lens does not show where the base is about to write a toxic token, or ""."""
    if lens.base_says >= ELICITING:
        return ""
    return f"Too few prompts elicit one: {lens.base_says}, and fewer than {ELICITING} do not tell."


def _lower(change: Interval, back: Interval | None) -> Verdict:
    """Below zero, and below what as large a change the other way does."""
    if back is None:
        return all_of(below(change), "undecided")
    apart: Verdict = (
        "holds" if change.high < back.low else "fails" if change.low > back.high else "undecided"
    )
    return all_of(below(change), apart)


@claim(
    "lens-mlps",
    "DPO does so at the MLPs that write toxic tokens: they write them less.",
    f"Figure 1, {SECTIONS['mechanism']}",
    "change of the base's largest increment to the probability, paired by prompt",
)
def lens_mlps(found: Found) -> Finding:
    """Holds if the base's three largest increments are of MLPs, and each shrinks by the rule of
    the claim before (interval below zero, and below that of the weights moved the other way), over
    all prompts of the lens; fails if none of the three is of an MLP, or one does not by that rule.
    Undecided if fewer than eight of the prompts elicit a toxic token."""
    steps = () if found.lens is None else found.lens.top_steps(3)
    if found.lens is None or not steps:
        return not_measured(NOT_COMPARED)
    if any(step.component.endswith("resid_delta") for step in steps):
        return not_measured("Attention and MLP run in parallel: no state lies between them.")
    reversed_steps = () if found.lens_reversed is None else found.lens_reversed.steps
    back = {step.component: step.change for step in reversed_steps}
    verdict = all_of(*(_lower(step.change, back.get(step.component)) for step in steps))
    mlps = sum(step.component.endswith("mlp_out") for step in steps)
    if verdict == "holds" and mlps < len(steps):
        verdict = "undecided"
    told = (f"{s.component} {s.base.value:+.3g}, changed by {signed(s.change)}" for s in steps)
    why = f"{'; '.join(told)}."
    if few := _too_few(found.lens):
        return Finding("undecided", steps[0].change, f"{few} {why}")
    return Finding(verdict if mlps else "fails", steps[0].change, why)


@claim(
    "neurons-fall",
    "Neurons that write toxic vectors fire less after DPO, and fall more than random ones.",
    f"Figure 2, {SECTIONS['mechanism']}",
    "change of their mean coefficient over generated tokens, paired by prompt",
)
def neurons_fall(found: Found) -> Finding:
    """Holds if the interval lies below zero and at most 5 % of draws of as many random neurons of
    the same layers fall as far; fails if the interval lies above zero or 95 % of draws do."""
    drop = found.drop
    if drop is None:
        return not_measured("No coefficients were followed.")
    why = f"{drop.fell:.0%} of {len(drop.neurons)} fell, {drop.rose:.0%} rose."
    if drop.random:
        by_chance = sum(drop.random) / len(drop.random)
        why += f" As many random neurons change by {by_chance:+.3g}, mean of {len(drop.random)}."
    if found.drop_shared is not None:
        why += f" With both models reading one text: {signed(found.drop_shared.change)}."
    verdict = all_of(below(drop.change), rare(drop.null_p))
    return Finding(verdict, drop.change, why, drop.null_p)


CLAIMS = (
    weights_stay,
    vectors_stay,
    lens_falls,
    lens_mlps,
    neurons_fall,
)
