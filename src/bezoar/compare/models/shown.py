"""Numbers in the tables of this room: changes may be far below a thousandth."""

from __future__ import annotations

from bezoar.stats.intervals import Interval

ROWS = 8
"""Of a table; the result has them all."""


def plain(estimate: Interval) -> str:
    """``0.0123 [0.0101, 0.0144]``, three significant figures each."""
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def signed(change: Interval) -> str:
    """``-0.0123 [-0.0144, -0.0101]``, three significant figures each."""
    low, high = (f"{bound:+.3g}" if bound else "0" for bound in (change.low, change.high))
    return f"{change.value:+.3g} [{low}, {high}]" if change.value or low != high else "0"


def p_value(p: float) -> str:
    """``0.025``, ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def near_one(cosine: float) -> str:
    """``0.9973``; nearer to one ``1 - 7.1e-08``, as six digits would not tell it from one."""
    return f"1 - {1 - cosine:.1e}" if 0.999 < cosine < 1 else f"{cosine:.4f}".replace("1.0000", "1")
