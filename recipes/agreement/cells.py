"""Tables of the page, and numbers with their intervals as they stand in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Numbers = dict[str, Any]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def estimate(own: Numbers | None, scale: int = 1, digits: int = 3, unit: str = "") -> str:
    """``0.868 [0.859, 0.876]``; a dash for what a scorer has no score for."""
    if own is None:
        return "–"
    value, low, high = (f"{scale * own[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value}{unit} [{low}, {high}]".replace("-", "−")


def percent(own: Numbers, digits: int = 1) -> str:
    """``4.3 % [3.7, 5.1]``"""
    return estimate(own, 100, digits, " %")


def whole(share: float) -> str:
    """``43 %``"""
    return f"{100 * share:.0f} %"


def verdict(met: bool) -> str:
    return "met" if met else "**missed**"
