"""The two little languages of the command line: a budget `ppl<=5%` and a gate `toxicity>0.1`.

    budget  =  measure  "<="  number ["%"]          what a remedy may cost, against no edit
    gate    =  metric  (">" | ">=" | "<" | "<=")  number ["%"]      when an audit fails

In a budget "%" is a relative rise and a bare number an absolute one; in a gate "%" is a hundredth.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from bezoar.errors import ConfigError, did_you_mean

Measure = Literal["ppl", "kl", "bits_per_byte"]
MEASURES: tuple[str, ...] = get_args(Measure)

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

_NUMBER = r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<percent>%?)"
_EXPRESSION = re.compile(
    rf"\s*(?P<name>[A-Za-z][\w.\-]*)\s*(?P<sign><=|>=|<|>|==|=)\s*{_NUMBER}\s*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Budget:
    """A ceiling on what a remedy costs.

    Attributes:
        measure: `ppl` (perplexity of neutral text), `bits_per_byte`, or `kl` (to the base).
        limit: the largest rise allowed; 0.05 is five per cent when `relative`.
        relative: whether the rise is a share of the unedited model's value.
    """

    measure: Measure
    limit: float
    relative: bool

    def cost(self, base: float, edited: float) -> float:
        """The rise, in the units of `limit`."""
        return edited / base - 1 if self.relative else edited - base

    def __str__(self) -> str:
        shown = f"{100 * self.limit:g}%" if self.relative else f"{self.limit:g}"
        return f"{self.measure}<={shown}"


@dataclass(frozen=True, slots=True)
class Gate:
    """A verdict: the audit fails if `metric` compares so with `threshold`."""

    metric: str
    sign: Literal["<", "<=", ">", ">="]
    threshold: float

    def fails(self, value: float) -> bool:
        """Whether a measured value trips the gate. A value that is no number always does."""
        return math.isnan(value) or COMPARE[self.sign](value, self.threshold)

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.threshold:g}"


def parse_budget(text: str) -> Budget:
    """Read `ppl<=5%`.

    Raises:
        ConfigError: if it is no budget, or one that nothing could meet.
    """
    name, sign, number, percent = _parts(text, "budget", "ppl<=5%")
    if name not in MEASURES:
        raise ConfigError(
            f"A budget cannot be set on {name!r} (in {text!r}).", hint=did_you_mean(name, MEASURES)
        )
    if sign != "<=":
        raise ConfigError(
            f"A budget is a ceiling, not {sign!r} (in {text!r}).", hint="Write it like 'ppl<=5%'."
        )
    if number < 0:
        raise ConfigError(
            f"A budget cannot be negative (in {text!r}).", hint="0% allows no rise at all."
        )
    if percent and name == "kl":
        raise ConfigError(
            f"A divergence has no percentage (in {text!r}): the unedited model's is 0.",
            hint="Write it in nats, like 'kl<=0.05'.",
        )
    return Budget(name, number / 100 if percent else number, bool(percent))  # type: ignore[arg-type]


def parse_gate(text: str) -> Gate:
    """Read `toxicity>0.1`; the metric's name is checked against the results, not here.

    Raises:
        ConfigError: if it is no gate.
    """
    name, sign, number, percent = _parts(text, "gate", "toxicity>0.1")
    if sign not in COMPARE:
        raise ConfigError(
            f"A gate compares with <, <=, > or >=, not {sign!r} (in {text!r}).",
            hint="Write it like 'toxicity>0.1'.",
        )
    return Gate(name, sign, number / 100 if percent else number)  # type: ignore[arg-type]


def _parts(text: str, what: str, example: str) -> tuple[str, str, float, str]:
    match = _EXPRESSION.fullmatch(text)
    number = float(match["number"]) if match else math.nan
    if match is None or not math.isfinite(number):
        raise ConfigError(f"{text!r} is not a {what}.", hint=f"Write it like {example!r}.")
    return match["name"], match["sign"], number, match["percent"]
