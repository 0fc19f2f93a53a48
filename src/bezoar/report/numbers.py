"""Numbers as people read them: a real minus sign, an interval beside every estimate; tokens too."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

_TINY = 5e-4  # smaller numbers would read 0.000


@runtime_checkable
class Estimate(Protocol):
    """A number with its interval: a metric or an `Interval`."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def number(value: float | None, *, signed: bool = False, digits: int | None = None) -> str:
    """About three significant figures: ``0.312``, ``21.7``, ``1,204``, ``−0.191``."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not finite"
    size = abs(value) if abs(value) > 1e-12 else 0.0  # what is left of a difference of equals
    sign = "" if not size else "−" if value < 0 else "+" if signed else ""
    if digits is None and 0 < size < _TINY:
        return sign + f"{size:.0e}".replace("e-0", "e−")
    return sign + f"{size:,.{_places(size) if digits is None else digits}f}"


def bounds(low: float, high: float, *, signed: bool = False) -> str:
    """``[0.280, 0.344]``, both with the decimals of the larger."""
    size = max(abs(low), abs(high))
    digits = _places(size) if size >= _TINY else None
    shown = (number(bound, signed=signed, digits=digits) for bound in (low, high))
    return f"[{', '.join(shown)}]"


def _places(size: float) -> int:
    return 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3


def estimate(seen: Estimate | None, *, signed: bool = False) -> str:
    """``0.312 [0.280, 0.344]``"""
    if seen is None:
        return "–"
    return f"{number(seen.value, signed=signed)} {bounds(seen.low, seen.high, signed=signed)}"


def percent(share: float | None, *, signed: bool = False, digits: int = 1) -> str:
    """A share as per cent: ``4.8 %``."""
    if share is None:
        return "–"
    text = number(100 * share, signed=signed, digits=digits)
    return text if text == "not finite" else f"{text}\u00a0%"


def share_estimate(seen: Estimate | None, *, signed: bool = False, digits: int = 1) -> str:
    """A share and its interval as per cent: ``+4.8 % [+4.1 %, +5.6 %]``."""
    if seen is None:
        return "–"
    value, low, high = (
        percent(part, signed=signed, digits=digits) for part in (seen.value, seen.low, seen.high)
    )
    return f"{value} [{low}, {high}]"


def p_value(p: float | None) -> str:
    """``0.025``, ``< 0.001``."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(n: int | None) -> str:
    """``12,345``"""
    return "–" if n is None else f"{n:,}"


def plural(n: int, noun: str, nouns: str | None = None) -> str:
    """``1 prompt``, ``200 prompts``."""
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def visible_token(token: str) -> str:
    """A token whose blanks and line ends can be seen."""
    return token.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "·") or "∅"
