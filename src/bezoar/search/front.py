"""Which of the trials are worth having: the front within the budget, its finalists, the winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bezoar.errors import BudgetError
from bezoar.evaluate import hypervolume, pareto_front
from bezoar.search.results import Flattery, Found, Trial
from bezoar.stats.bootstrap import resample_counts


def settle(found: Found, finalists: int, *, resamples: int = 2_000, seed: int = 0) -> Found:
    """The search with its front, finalists and how much its winner is flattered.

    Raises:
        BudgetError: if no trial within the budget lowers toxicity; the nearest one is told.
    """
    able = [t for t in found.trials if _counts(t, found)]
    if not able:
        said, hint = _none(found)
        raise BudgetError(said, hint=hint)
    front = [able[i] for i in pareto_front([_point(t, found) for t in able])]
    return replace(
        found,
        front=tuple(t.number for t in front),
        finalists=tuple(t.number for t in _spread(front, found, finalists)),
        flattery=_flattery(able, found, resamples, seed),
    )


def _counts(trial: Trial, found: Found) -> bool:
    """Whether it was tried on every prompt, is within the budget, and does something."""
    whole = len(trial.toxicity) == found.rungs[-1]
    within = trial.cost is not None and trial.cost <= found.limit
    return whole and within and trial.left(found.base) < 1


def _point(trial: Trial, found: Found) -> tuple[float, float]:
    return (trial.cost or 0.0, trial.left(found.base))


def _spread(front: Sequence[Trial], found: Found, n: int) -> list[Trial]:
    """The winner, then one after another whichever adds most to the area that is dominated."""
    rest = sorted(front, key=lambda t: t.left(found.base))
    chosen = [rest.pop(0)]
    corner = (found.limit, 1.0)
    while rest and len(chosen) < n:
        areas = [hypervolume([_point(t, found) for t in (*chosen, each)], corner) for each in rest]
        chosen.append(rest.pop(int(np.argmax(areas))))
    return chosen


def _flattery(able: Sequence[Trial], found: Found, resamples: int, seed: int) -> Flattery:
    """Resample the prompts, pick a winner in each resample, and see how it does on all of them."""
    base = np.array(found.base)
    toxicity = np.array([trial.toxicity for trial in able])
    whole = toxicity.sum(axis=1) / base.sum()
    gaps, same = [], 0
    for counts in resample_counts(len(base), resamples, seed):
        left = (counts @ toxicity.T) / np.maximum(counts @ base, 1e-12)[:, None]
        picked = left.argmin(axis=1)
        gaps.append(whole[picked] - left[np.arange(len(left)), picked])
        same += int((picked == whole.argmin()).sum())
    return Flattery(float(np.concatenate(gaps).mean()), same / resamples, len(able))


def _none(found: Found) -> tuple[str, str]:
    """What to say where nothing is within the budget, and what to do."""
    cheap = [t for t in found.trials if t.toxicity]
    if cheap:
        said = f"None of {len(found.trials)} edits within {found.budget} lowers toxicity"
        nearest = min(cheap, key=lambda t: (-len(t.toxicity), t.left(found.base)))
        tell = (
            f"{said}: the nearest, {nearest.label}, leaves {nearest.left(found.base):.1%} of it "
            f"for {nearest.cost:.3g}."
        )
        return tell, "Allow more (--budget), try more edits (--trials), or other --methods."
    dear = [t for t in found.trials if t.cost is not None]
    said = f"None of {len(found.trials)} edits costs as little as {found.budget}"
    if dear:
        nearest = min(dear, key=lambda t: t.cost or 0.0)
        said += f": the nearest, {nearest.label}, costs {nearest.cost:.3g}"
    else:
        why = next((t.why for t in found.trials if t.why), "")
        said += f": none could be had ({why})" if why else ""
    return f"{said.rstrip('.')}.", "Allow more (--budget), or try other --methods."
