"""What the study's later stages save, as the page reads it.

Results of rooms before this one are read as what they are. Of those that the study itself makes,
which this room must not import, the fields that are shown are named here; a file may hold more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bezoar.errors import CorruptArtefact
from bezoar.pairs import Pairs
from bezoar.runs.reading import RunFiles
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


def read_many(run: RunFiles, name: str, kind: Any) -> tuple[Any, ...]:
    """The results in a file: a list of them, or a result whose only list they are.

    Args:
        run: the run's files.
        name: such as ``compare/shifts.json``.
        kind: the class of one.

    Returns:
        The results; empty if there is no such file.

    Raises:
        CorruptArtefact: if the file holds something else.
    """
    found = run.json(name, object)
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        found = lists[0] if len(lists) == 1 else found
    try:
        return tuple(TypeAdapter(tuple[kind, ...]).validate_python(found or []))
    except ValidationError as error:
        raise CorruptArtefact(
            f"{run.folder / name} is no list of {kind.__name__}: {str(error).splitlines()[0]}.",
            hint="Run its stage again.",
        ) from error


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
