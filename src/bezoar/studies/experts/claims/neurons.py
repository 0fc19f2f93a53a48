"""Single neurons as experts: how many there are, why so few, and whether they stay the same."""

from __future__ import annotations

from bezoar.compare.models.shown import p_value
from bezoar.locate import ShareAbove
from bezoar.stats import Interval
from bezoar.studies.claims.results import Verdict
from bezoar.studies.claims.rules import (
    HALF,
    Finding,
    above,
    all_of,
    claim,
    exactly,
    not_measured,
    rare,
)
from bezoar.studies.experts.claims.found import Found

EXPERT = 0.55
_NO_UNITS = "No single unit was scored."


@claim(
    "neurons-experts",
    "Single neurons are experts: some tell toxic texts apart better than chance explains.",
    "§ on neuron experts (Suau et al. 2024)",
    f"share of units with AUROC above {EXPERT}",
)
def experts_exist(found: Found) -> Finding:
    """Holds if at most 5 % of shuffled labellings put as many units above .55, and at most 5 % have
    as good a best unit; fails if at least 95 % put as many there."""
    group = found.units
    if group is None:
        return not_measured(_NO_UNITS)
    spread = group.all_texts
    share = spread.shares[-1]
    best = rare(spread.best_p)
    why = (
        f"{_told(share)}. The best is unit {spread.best_index} of {spread.best_site}, AUROC "
        f"{spread.best:.3f} (p {p_value(spread.best_p)})."
    )
    verdict = all_of(rare(share.p), best if best == "holds" else "undecided")
    return Finding(verdict, exactly(share.share), why, share.p)


@claim(
    "neurons-few",
    "Fewer than half of the neurons lie above an AUROC of one half.",
    "table of shares (11 to 23 %)",
    "share of units with AUROC above .5, those of the paper's kind",
)
def few_experts(found: Found) -> Finding:
    """Holds if the share is below one half and below what 95 % of shuffled labellings give; fails
    if it is above both."""
    group = found.units
    if group is None:
        return not_measured(_NO_UNITS)
    share = group.all_texts.shares[0]
    return Finding(_side(share), exactly(share.share), f"{_told(share)}.")


@claim(
    "neurons-few-by-length",
    "That so few are above one half is a matter of how long texts are, not of toxicity.",
    "not in the paper",
    "share of units with AUROC above .5, on texts of equal lengths in both classes",
)
def few_by_length(found: Found) -> Finding:
    """Holds if fewer are above one half than chance gives on all texts, and not on texts of equal
    lengths, of which there are enough that a share like that of all texts would stand out; fails if
    fewer are among these too. Where nothing is missing on all texts there is nothing to explain."""
    group = found.units
    if group is None or found.experts is None:
        return not_measured(_NO_UNITS)
    lengths = found.experts.lengths
    every, matched = group.all_texts.shares[0], group.matched
    why = (
        f"Toxic texts have {lengths.mean_positive:.1f} tokens on average, others "
        f"{lengths.mean_negative:.1f}; {group.rising_with_length:.0%} of the units are larger in "
        "longer texts."
    )
    if _side(every) != "holds":
        return not_measured(f"On all texts {_told(every)}: nothing is missing. {why}")
    if matched is None:
        return Finding("undecided", None, f"Too few texts of both classes match. {why}")
    share = matched.shares[0]
    seen = every.share < share.null_low  # else so few texts match that nothing could be missing
    verdict: Verdict = "fails" if share.share < share.null_low else "holds" if seen else "undecided"
    return Finding(verdict, exactly(share.share), f"{_told(share)} of texts that match. {why}")


@claim(
    "neurons-stable",
    "Expert neurons belong to the model and not to the texts: other texts name the same ones.",
    "§ on neuron experts",
    "share of the best units of one half of the texts that are the best of the other half",
)
def stable(found: Found) -> Finding:
    """Holds if every random division of the texts leaves more than half of the best units in
    common; fails if every one leaves fewer. The interval is the least and the most of any division.
    """
    group = found.units
    if group is None:
        return not_measured(_NO_UNITS)
    halves = group.halves
    if halves is None:
        return not_measured("The texts were not divided.")
    seen = Interval(halves.overlap, halves.overlap_low, halves.overlap_high)
    why = (
        f"The {halves.top} best of {group.all_texts.units:,} units in {halves.draws} divisions; "
        f"sets drawn at random share {halves.chance:.1%}. Rank correlation of all units "
        f"{halves.rank_correlation:.2f} [{halves.rank_low:.2f}, {halves.rank_high:.2f}]."
    )
    if halves.chance >= HALF:
        return not_measured(f"There are too few units for that. {why}")
    if (other := group.corpora) is not None:
        why += f" Between two corpora {other.overlap:.1%} are in common."
    return Finding(above(seen, HALF), seen, why)


def _side(share: ShareAbove) -> Verdict:
    """Whether fewer units than half are above, and than chance puts there."""
    if share.share < min(HALF, share.null_low):
        return "holds"
    return "fails" if share.share > max(HALF, share.null_high) else "undecided"


def _told(share: ShareAbove) -> str:
    return (
        f"{share.share:.1%} are above {share.threshold:g}, under shuffled labels "
        f"{share.null_low:.1%} to {share.null_high:.1%}"
    )


CLAIMS = (experts_exist, few_experts, few_by_length, stable)
