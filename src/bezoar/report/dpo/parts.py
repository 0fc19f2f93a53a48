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


def source_of(pairs: Pairs | None) -> str:
    """Where the two sides of pairs come from, in a clause, from what they say of themselves."""
    told: Any = {} if pairs is None else pairs.provenance
    how = told.get("how")
    if pairs is None or how is None:
        return "how the sides of its pairs were made was not kept"
    if how == "steered":
        direction, alpha = told.get("direction") or {}, told.get("alpha")
        site, name = direction.get("site", "?"), str(direction.get("name", "a direction"))
        what = "the difference of class means" if name.startswith("mean difference") else name
        far = "" if alpha is None else f", {alpha:g} times the stream's mean norm there"
        return (
            f"the model wrote both sides, while {what} at {site} was added to the residual stream "
            f"for the rejected one and subtracted for the chosen one{far}"
        )
    if how == "pplm":
        site = (told.get("probe") or {}).get("site", "?")
        return f"the sides were made by PPLM, steered by a probe at {site}"
    return f"people's pairs were read from {pairs.origin.spec or pairs.name}"


def kind_of(pairs: Pairs | None) -> str:
    """What a table calls the pairs that were trained on."""
    told: Any = {} if pairs is None else pairs.provenance
    names = {"steered": "steered pairs", "pplm": "PPLM's pairs", "read": "people's pairs"}
    return names.get(str(told.get("how")), "pairs")
