"""What the study's later stages save, as the page reads it.

Results of rooms before this one are read as what they are. Of those that the study itself makes,
which this room must not import, the fields that are shown are named here; a file may hold more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bezoar.pairs import Pairs
from bezoar.stats import Interval


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the paper and what was seen of it: see ``claims/claims.json``."""

    key: str
    statement: str
    source: str
    verdict: str
    value: Interval | None = None
    measure: str = ""
    null_p: float | None = None
    why: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """All of them, in the order of the paper."""

    claims: tuple[Claim, ...]


def settings_of(pairs: Pairs | None) -> dict[str, Any]:
    """How PPLM was run, from what the pairs that it made say of themselves."""
    told: Any = {} if pairs is None else pairs.provenance
    waiting = [told]
    while waiting:
        at = waiting.pop(0)
        if not isinstance(at, dict):
            continue
        if isinstance(at.get("settings"), dict):
            return dict(at["settings"])
        waiting += at.values()
    return {}
