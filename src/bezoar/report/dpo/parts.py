"""What the pairs of a study say of how they were made."""

from __future__ import annotations

from typing import Any

from bezoar.pairs import Pairs


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
