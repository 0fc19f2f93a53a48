"""How far a row lies on the way from the base to the trained model, paired by prompt."""

from __future__ import annotations

from bezoar.errors import DataError
from bezoar.stats import Interval, paired_difference, paired_ratio
from bezoar.studies.claims.rules import Finding, not_measured
from bezoar.studies.dpo.claims.found import NO_OP, Found


def nothing_lowered(found: Found) -> str:
    """Why the training cannot be said to have lowered toxicity, or ""."""
    if not {NO_OP, found.trained} <= found.measured.keys():
        return "Whether DPO lowers toxicity was not measured."
    lowered = paired_difference(found.toxicity(NO_OP), found.toxicity(found.trained))
    return "" if lowered.low > 0 else "DPO itself does not lower toxicity beyond chance."


def share_of_way(found: Found, label: str, origin: str) -> Interval | Finding:
    """How far a row lies from the no-op or from the training, on the way between these two, as a
    share of that way; or why there is no such share."""
    if not {label, NO_OP, found.trained} <= found.measured.keys():
        return not_measured("It was not measured.")
    start, end = found.toxicity(NO_OP), found.toxicity(found.trained)
    sign = 1.0 if origin == found.trained else -1.0
    try:
        return paired_ratio(sign * (found.toxicity(label) - found.toxicity(origin)), start - end)
    except DataError:
        return Finding("undecided", None, "DPO itself does not lower toxicity beyond chance.")
