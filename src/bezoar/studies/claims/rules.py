"""How a claim is held against results: a function whose docstring is the rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bezoar.stats import Interval
from bezoar.studies.claims.results import Claim, Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule made of the results; fields as in `Claim`."""

    verdict: Verdict
    value: Interval | None
    why: str
    null_p: float | None = None


def not_measured(why: str) -> Finding:
    """There is no result that could tell."""
    return Finding("not measured", None, why)


LEVEL = 0.05
HALF = 0.5

Judge = Callable[[Any], Finding]
"""From what a study found to a finding."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A claim before it is tried; `claim` makes it of a function whose docstring is the rule."""

    key: str
    statement: str
    source: str
    measure: str
    rule: str
    judge: Judge

    def __call__(self, found: Any) -> Claim:
        """The claim, tried on results."""
        told = self.judge(found)
        return Claim(
            key=self.key,
            statement=self.statement,
            source=self.source,
            verdict=told.verdict,
            value=told.value,
            measure=self.measure,
            null_p=told.null_p,
            why=told.why,
            rule=self.rule,
        )


def claim(key: str, statement: str, source: str, measure: str) -> Callable[[Judge], Rule]:
    """Make a `Rule` of a function from results to a finding; its docstring states the rule."""

    def rule(judge: Judge) -> Rule:
        words = " ".join((judge.__doc__ or "").split())
        return Rule(key, statement, source, measure, words, judge)

    return rule


def exactly(value: float) -> Interval:
    """A number that was computed from all there is."""
    return Interval(value, value, value)


def below(value: Interval, limit: float = 0.0) -> Verdict:
    """Whether a number lies below a limit, interval and all."""
    return "holds" if value.high < limit else "fails" if value.low > limit else "undecided"


def above(value: Interval, limit: float = 0.0) -> Verdict:
    """Whether a number lies above a limit, interval and all."""
    return "holds" if value.low > limit else "fails" if value.high < limit else "undecided"


def within(value: Interval, margin: float) -> Verdict:
    """Whether a number lies within ±margin, interval and all."""
    if -margin < value.low and value.high < margin:
        return "holds"
    return "fails" if value.low > margin or value.high < -margin else "undecided"


def rare(p: float | None) -> Verdict:
    """Whether nulls do as well in at most 5 % of draws; fails if they do in 95 %."""
    if p is None:
        return "undecided"
    return "holds" if p <= LEVEL else "fails" if p >= 1 - LEVEL else "undecided"


def all_of(*verdicts: Verdict) -> Verdict:
    """Holds if all hold (each at its own level: no correction is due), fails if one fails."""
    if "not measured" in verdicts or not verdicts:
        return "not measured"
    if "fails" in verdicts:
        return "fails"
    return "holds" if set(verdicts) == {"holds"} else "undecided"


def difference(a: Interval, b: Interval) -> Interval:
    """a − b of two estimates on the same rows whose pairs were not kept.

    The interval is that of independent estimates. On the same rows they rise and fall together,
    so it is too wide, if anything.
    """
    low = ((a.value - a.low) ** 2 + (b.high - b.value) ** 2) ** 0.5
    high = ((a.high - a.value) ** 2 + (b.value - b.low) ** 2) ** 0.5
    value = a.value - b.value
    return Interval(value, value - low, value + high)
