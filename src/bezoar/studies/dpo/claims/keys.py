"""Section 6, Table 4: whether a few keys turned up undo the training, and at what price."""

from __future__ import annotations

from math import inf

from bezoar.attack import AttackCurve, AttackPoint, Robustness
from bezoar.report.dpo.paper import SECTIONS
from bezoar.scoring import relative_perplexity
from bezoar.stats import Interval
from bezoar.studies.claims.results import Verdict, number
from bezoar.studies.claims.rules import (
    HALF,
    Finding,
    above,
    all_of,
    below,
    claim,
    not_measured,
)
from bezoar.studies.dpo.claims.effects import COST
from bezoar.studies.dpo.claims.found import Found
from bezoar.studies.dpo.claims.shares import share_of_way
from bezoar.studies.dpo.evaluate import FACTOR, KEYS

_OF_SEVEN = f", {KEYS} keys"
SCALED = f"×{FACTOR:g}{_OF_SEVEN}"
"""The point of the attack that Table 4 is."""


@claim(
    "keys-restore",
    f"Turning up {KEYS} toxic keys {FACTOR:g}-fold undoes DPO, which {KEYS} random keys do not.",
    f"Table 4, {SECTIONS['undoing']}",
    "share of DPO's reduction of toxicity that is undone, paired by prompt",
)
def keys_restore(found: Found) -> Finding:
    """Holds if more than half is undone, interval and all, and more than by as many random keys of
    the same layers; fails if less than half is. Random keys are turned up 10-fold too or, where
    that breaks the model, by a smaller factor that costs at least half as much perplexity as the
    toxic keys do; that which undoes most counts, of equals the one nearest to 10-fold. Without such
    it is undecided at best."""
    undone = share_of_way(found, found.scaled, found.trained)
    if isinstance(undone, Finding):
        return undone
    most = _most_undone(found)
    chance = _random_keys(found)
    if isinstance(chance, str):
        verdict: Verdict = "fails" if undone.high < HALF else "undecided"
        return Finding(verdict, undone, chance + most)
    where, by_chance = chance
    beaten: Verdict = "holds" if undone.low > by_chance.high else "undecided"
    why = f"Random keys undo {number(by_chance)}{where}.{most}"
    return Finding(all_of(above(undone, HALF), beaten), undone, why)


def _random_keys(found: Found) -> tuple[str, Interval] | str:
    """What scaling as many random keys undoes at most, mean over draws, on the prompts of the
    attack, and by which factor if not 10-fold; or why nothing is known of it: what a broken model
    says, also one of several draws, is no null. Shares are clipped at none, so that ties are
    common: of equals the factor nearest to the paper's counts."""
    curve = _curve(found)
    nulls = [] if curve is None else [p for p in curve.nulls if p.label.endswith(_OF_SEVEN)]
    if found.scaling is None or curve is None or not nulls:
        return "No random keys were scaled."
    if all(point.tried == point.failed for point in nulls):
        return "Random keys gave no model."
    least = _cost(next((p for p in curve.points if p.label == SCALED), None), found.scaling) / 2
    rivals = [
        (point, Interval(1 - left.value, 1 - left.high, 1 - left.low))
        for point in nulls
        if (left := point.survives) is not None and not _broke(point)
        if point.label == SCALED or _cost(point, found.scaling) >= least
    ]
    if not rivals:
        return (
            "Scaling random keys broke the model, or cost less than half of what toxic ones do, so "
            "that nothing is known of chance."
        )
    point, most = max(rivals, key=lambda rival: (rival[1].value, -_from_paper(rival[0])))
    if point.label == SCALED:
        return "", most
    paper = next((null for null in nulls if null.label == SCALED), None)
    breaks = f"; ×{FACTOR:g} breaks the model{_of_draws(paper)}" if paper and _broke(paper) else ""
    return f" ({point.label}, as dear{breaks})", most


def _of_draws(point: AttackPoint) -> str:
    """In how many draws it does so, if not in all."""
    some = 0 < point.broken < point.tried
    return f" in {point.broken} of {point.tried} draws" if some else ""


def _broke(point: AttackPoint) -> bool:
    """Whether a model beyond the limit of perplexity is among its draws."""
    return not point.valid or point.broken > 0


def _from_paper(point: AttackPoint) -> float:
    """How far a factor is from the paper's, on the axis of budgets."""
    return abs(point.budget - FACTOR * KEYS)


def _curve(found: Found) -> AttackCurve | None:
    """Toxic and random keys by factor and number, biases as they are."""
    curves = () if found.scaling is None else found.scaling.curves
    return next((curve for curve in curves if curve.attack == "key scaling"), None)


def _cost(point: AttackPoint | None, scaling: Robustness) -> float:
    """Of scaled keys, as a share of the aligned model's perplexity; without end if unknown."""
    before = scaling.edited_perplexity
    if point is None or point.perplexity is None or not before:
        return inf
    return point.perplexity / before - 1


def _most_undone(found: Found) -> str:
    """Which factor and number of toxic keys undo most and leave the model whole."""
    curve = _curve(found)
    best = None if curve is None else curve.weakest
    if best is None or best.survives is None or best.label == SCALED:
        return ""
    return f" Of all factors and numbers, {best.label}, undo most: {1 - best.survives.value:.3g}."


@claim(
    "keys-cost",
    f"Undoing DPO by {KEYS} keys costs little perplexity: less than {COST:.0%}.",
    f"Table 4, {SECTIONS['undoing']} (none at all; Yang et al. 2025 find much)",
    "perplexity over the aligned model's, less one, paired by window",
)
def keys_cost(found: Found) -> Finding:
    """Holds if the interval lies below 10 %; fails if it lies above."""
    trained, keys = found.measured.get(found.trained), found.measured.get(found.scaled)
    before = None if trained is None else trained.perplexity
    after = None if keys is None else keys.perplexity
    if before is None or after is None:
        return not_measured("The model with scaled keys was not measured.")
    ratio = relative_perplexity(after, before)
    cost = Interval(ratio.value - 1, ratio.low - 1, ratio.high - 1)
    why = f"Perplexity {before.value:.2f} → {after.value:.2f}."
    return Finding(below(cost, COST), cost, why)


CLAIMS = (keys_restore, keys_cost)
