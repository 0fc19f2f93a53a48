"""Finished measurements, kept line by line, so that a killed grid goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import TypeAdapter

from bezoar.attack.measure import Measured
from bezoar.errors import CorruptArtefact
from bezoar.interrupts import check
from bezoar.runs.results import atomic_write, to_plain


class Book:
    """Finished measurements by key, in memory and line by line in a file.

    Raises:
        CorruptArtefact: if the file cannot be read.
    """

    def __init__(self, path: str | Path | None) -> None:
        self._path = None if path is None else Path(path)
        self._found: dict[str, Measured] = {}
        if self._path is not None and self._path.exists():
            self._found = dict(_lines(self._path))

    def get(self, key: str, make: Callable[[], Measured]) -> Measured:
        """What was measured under a key, or is measured and put down now."""
        if key not in self._found:
            check()
            self._found[key] = found = make()
            if self._path is not None:
                _append(self._path, {"key": key, "measured": to_plain(found)})
        return self._found[key]


def _append(path: Path, line: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> Iterator[tuple[str, Measured]]:
    """The whole lines of a file; a last line without its end was cut by a kill, and is removed."""
    reader = TypeAdapter(Measured)
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        atomic_write(path, whole)
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            plain = json.loads(line)
            yield str(plain["key"]), reader.validate_python(plain["measured"])
        except (ValueError, TypeError, LookupError) as error:
            raise CorruptArtefact(
                f"Line {number} of {path} is no measurement of an attack.",
                hint="Remove the line (or the file); it will be measured anew.",
            ) from error
