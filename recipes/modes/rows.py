"""One difference: our number, theirs, and how far they lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from bezoar.stats import Interval, mean_interval, paired_difference, paired_ratio

Numbers = dict[str, Any]


def sampled(ours: np.ndarray, theirs: np.ndarray) -> Numbers:
    """Two columns over the same prompts (or texts, or windows)."""
    found = {"ours": float(ours.mean()), "theirs": float(theirs.mean()), "n": len(ours)}
    found["change"] = plain(paired_difference(theirs, ours))
    if min(ours.min(), theirs.min()) >= 0 and ours.mean() > 0:
        found["ratio"] = plain(paired_ratio(theirs, ours))
    return found


def computed(ours: float, theirs: float) -> Numbers:
    """Two numbers that nothing was sampled for."""
    change = theirs - ours
    found = {"ours": ours, "theirs": theirs, "n": 0, "change": plain(Interval(*(change,) * 3))}
    if ours > 0 and theirs > 0:
        found["ratio"] = plain(Interval(*(theirs / ours,) * 3))
    return found


def effects(ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray]) -> Numbers:
    """(Before, after) of an edit, measured in two ways: do they tell the same effect?"""
    a, b = (after - before for before, after in (ours, theirs))
    told = {"ours_change": plain(mean_interval(a)), "theirs_change": plain(mean_interval(b))}
    return {
        "ours": float(a.mean()),
        "theirs": float(b.mean()),
        "n": len(a),
        "change": plain(paired_difference(b, a)),
        **told,
    }


def plain(found: Interval) -> Numbers:
    """An interval for a JSON file."""
    return {key: float(f"{getattr(found, key):.6g}") for key in ("value", "low", "high")}


def row(key: str, group: str, differs: str, measure: str, found: Numbers) -> Numbers:
    """A line of the table.

    Args:
        key: short name.
        group: under which heading.
        differs: what they do otherwise.
        measure: what both numbers are.
        found: of `sampled`, `computed` or `effects`.
    """
    return {"key": key, "group": group, "differs": differs, "measure": measure} | found
