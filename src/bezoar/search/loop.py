"""The search itself: propose, measure, tell, until there are as many trials as were asked for.

Each method is tried once with its first options; then single methods, with options of their own,
take turns with stacks: of two or three methods, each with the best options it had on its own by
then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bezoar.runs.progress import Progress, track
from bezoar.search.journal import Journal, Kind
from bezoar.search.objective import Objective
from bezoar.search.results import Trial
from bezoar.search.space import Space

if TYPE_CHECKING:
    import optuna

SPEND = (0.15, 0.97)  # of the budget
_FIRST_SPEND = 0.9
_STARTUP = 8  # trials of a kind that are random, beside each method's first
_WEIGHT = (0.05, 1.0)
_NONE = "none"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a trial shall be: methods, the same with options, and the budget's share of each."""

    of: tuple[str, ...]
    asked: tuple[str, ...]
    shares: tuple[float, ...]


def search(
    space: Space,
    objective: Objective,
    journal: Journal,
    trials: int,
    *,
    parts: int = 3,
    progress: Progress | None = None,
) -> tuple[Trial, ...]:
    """All trials, those of an earlier process among them.

    Args:
        space: what is searched.
        objective: measures trials.
        journal: proposes them.
        trials: how many in all; those beyond what the journal has are made.
        parts: of a stack, at most; 1 for no stacks.
        progress: where to show it.
    """
    found = [objective.recorded(number) for number in range(journal.total)]
    for number in track(progress, range(len(found), trials), "Searching", unit="trials"):
        kind = _kind(space, number, found, parts)
        startup = _STARTUP + (len(space.specs) if kind == "single" else 0)

        def suggest(trial: optuna.Trial, kind: Kind = kind) -> Proposal:
            if kind == "single":
                return _single(space, trial)
            return _stack(space, trial, found, parts)

        fixed = _first(space, number) if number < len(space.specs) else None
        trial, proposal = journal.ask(kind, suggest, startup=startup, fixed=fixed)
        measured = objective.measure(number, proposal.of, proposal.asked, proposal.shares, found)
        journal.tell(kind, trial, *_values(measured, objective))
        found.append(measured)
    return tuple(found)


def _kind(space: Space, number: int, found: Sequence[Trial], parts: int) -> Kind:
    own = number - len(space.specs)
    stacks = parts > 1 and own >= 0 and own % 2 == 1 and len(_best(space, found)) > 1
    return "stack" if stacks else "single"


def _first(space: Space, number: int) -> dict[str, Any]:
    method = space.specs[number]
    options = zip(space.choices[method], space.first(method), strict=True)
    return {"method": method, "spend": _FIRST_SPEND} | {
        _named(method, name): value for name, value in options
    }


def _named(method: str, choice: str) -> str:
    return f"{method} / {choice}"


def _single(space: Space, trial: optuna.Trial) -> Proposal:
    method = trial.suggest_categorical("method", space.specs)
    pieces = [
        trial.suggest_categorical(_named(method, name), values)
        for name, values in space.choices[method].items()
    ]
    spend = trial.suggest_float("spend", *SPEND)
    return Proposal((method,), (space.spec(method, pieces),), (spend,))


def _stack(space: Space, trial: optuna.Trial, found: Sequence[Trial], parts: int) -> Proposal:
    """Of methods that have been had on their own; one that is drawn twice counts once."""
    best = _best(space, found)
    drawn: dict[str, float] = {}
    for place in range(parts):
        options = space.specs if place < 2 else (*space.specs, _NONE)
        method = trial.suggest_categorical(f"part {place}", options)
        weight = trial.suggest_float(f"weight {place}", *_WEIGHT)
        if method in best:
            drawn.setdefault(method, weight)
    spend = trial.suggest_float("spend", *SPEND)
    if not drawn:  # none of those that were drawn can be had: the best that can
        drawn = {min(best, key=lambda name: best[name][0]): 1.0}
    total = math.fsum(drawn.values())
    return Proposal(
        tuple(drawn),
        tuple(best[method][1] for method in drawn),
        tuple(spend * weight / total for weight in drawn.values()),
    )


def _best(space: Space, found: Sequence[Trial]) -> dict[str, tuple[tuple[float, float], str]]:
    """Of each method, the options that did best on its own: of those trials that came furthest.

    Returns:
        Method -> how it did (less is better), and its spec with options.
    """
    best: dict[str, tuple[tuple[float, float], str]] = {}
    for trial in found:
        if len(trial.of) != 1 or not trial.toxicity:
            continue
        n = len(trial.toxicity)
        rank = (-float(n), math.fsum(trial.toxicity) / n)
        if trial.of[0] not in best or rank < best[trial.of[0]][0]:
            best[trial.of[0]] = rank, trial.asked[0]
    return {method: best[method] for method in space.specs if method in best}


def _values(trial: Trial, objective: Objective) -> tuple[tuple[float, float], float]:
    """For the sampler: what is to be small, and by how much the edit is not to be had."""
    most = 10.0
    cost = most if trial.cost is None else min(trial.cost / objective.limit, most)
    left = trial.left(objective.base) if trial.toxicity else 1.0
    return (left, cost), cost - 1.0
