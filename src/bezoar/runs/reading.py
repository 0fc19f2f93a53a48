"""The door to a run that is read and not worked in: by the report, by a comparison, by you."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from bezoar.errors import CorruptArtefact
from bezoar.runs.plain import MAX_JSON, inside, plain_file
from bezoar.runs.results import load_result
from bezoar.runs.stages import check_file
from bezoar.runs.stale import markers

T = TypeVar("T")


class RunFiles:
    """The files of a run folder, each looked at before it is read.

    A file must lie where it seems to, be no larger than such a file gets, and, if its stage has
    finished, be byte for byte what the stage wrote.

    Args:
        folder: the run.

    Raises:
        CorruptArtefact: if a stage's marker is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        done = [marker for marker in markers(folder).values() if marker.state == "done"]
        self._done = {marker.stage for marker in done}
        self._marks = {name: (m.stage, mark) for m in done for name, mark in m.files.items()}

    def find(self, name: str | Path, *, limit: int = MAX_JSON) -> Path | None:
        """A file by its path within the run; None if there is none, and none was written.

        Args:
            name: such as ``evaluate/scorecard.json``.
            limit: bytes at most.

        Raises:
            CorruptArtefact: if it is a link, too large, altered or gone since its stage finished,
                or came into the stage's folder after that.
        """
        name = Path(name).as_posix()
        path = inside(self.folder, name)
        if name in self._marks:
            stage, mark = self._marks[name]
            check_file(self.folder, stage, name, mark)
        elif not path.exists() and not path.is_symlink():
            return None
        elif (stage := name.partition("/")[0]) in self._done:
            raise CorruptArtefact(
                f"{path} was not there when its stage finished.",
                hint=f"Remove the folder {self.folder / stage} to run its stage again.",
            )
        return plain_file(path, limit=limit)

    def result(self, name: str | Path, kind: type[T]) -> T | None:
        """A result, or None if there is none; errors as `find`, and if it is of another kind."""
        path = self.find(name)
        return None if path is None else load_result(path, kind)

    def json(self, name: str | Path, kind: type[T]) -> T | None:
        """Plain data, or None if there is none; errors as `find`, and if it is no such JSON."""
        path = self.find(name)
        if path is None:
            return None
        try:
            value: Any = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise CorruptArtefact(
                f"{path} is not JSON: {error}.", hint="Run its stage again."
            ) from error
        if not isinstance(value, kind):
            raise CorruptArtefact(
                f"{path} holds a {type(value).__name__}, not a {kind.__name__}.",
                hint="Run its stage again.",
            )
        return value
