"""Stages of a run: finished ones are skipped, changed ones run again, with all that follows.

A stage's *key* hashes what it was told (config section, fingerprints of its inputs), the keys of
the stages before it, and the version of the code. Its marker, `STAGE/stage.json`, is first
written as running and last, when every file is in place, as done with the hash of each file::

    key(stage) = H(name, version, told, key(before_1), key(before_2), …)

so a change anywhere upstream changes every key downstream. A folder left by a killed process with
the same key is kept, for the stage to go on in; with another key it is emptied.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from bezoar.errors import CorruptArtefact, RunError
from bezoar.runs.faults import explain, explained
from bezoar.runs.plain import MAX_JSON, inside, plain_file
from bezoar.runs.results import save_json, to_plain

MARKER = "stage.json"


class FileMark(BaseModel, frozen=True):
    """What a finished file looked like."""

    bytes: int
    sha256: str


class Marker(BaseModel, frozen=True, extra="forbid"):
    """A stage's state on disk. Nothing in it depends on when it ran: equal runs, equal bytes.

    ``options`` hashes the run's configuration when the stage was last begun or found done.
    """

    stage: str
    key: str
    state: Literal["running", "done"]
    after: dict[str, str]
    files: dict[str, FileMark] = {}
    options: str = ""


class Stage:
    """A stage at work; see `bezoar.runs.folder.Run.stage`.

    Attributes:
        name: of the stage and of its folder.
        folder: where its files go.
        key: see the module's docstring.
        done: whether an earlier process finished it with this very key. Then there is nothing to
            do, and its files are intact.
    """

    def __init__(
        self, root: Path, name: str, key: str, after: Mapping[str, str], options: str = ""
    ) -> None:
        self.name = name
        self.folder = root / name
        self.key = key
        self._root = root
        self._after = dict(after)
        self._options = options
        self._elsewhere: list[Path] = []
        self._started = 0.0
        self.done = False

    def include(self, *paths: Path) -> None:
        """Count files of the run folder, outside the stage's own, among its results."""
        self._elsewhere.extend(paths)

    def reopen(self) -> None:
        """Take up a finished stage again, to add to what it has: its files stay.

        For what may grow without becoming another result: the trials of a search.
        """
        if self.done:
            self.done = False
            self._mark("running", {})
            self._started = time.monotonic()
            self._log("started")

    def __enter__(self) -> Stage:
        with explained(self._root):
            self._begin()
        return self

    def _begin(self) -> None:
        marker = read_marker(self.folder)
        if marker is not None and marker.key == self.key and marker.state == "done":
            check_files(self._root, marker)
            self.done = True
            if marker.options != self._options:  # others than it was made with, and none of its own
                self._save(marker.model_copy(update={"options": self._options}))
            return
        if marker is None or marker.key != self.key:
            clear_stage(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder.rglob(".*.tmp"))
        self._mark("running", {})
        self._started = time.monotonic()
        self._log("started")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            better = explain(error, self._root)
            if better is not None:
                raise better from error
        if error is None and not self.done:
            with explained(self._root):
                self._mark("done", self._files())
                self._log("done", seconds=round(time.monotonic() - self._started, 3))

    def _files(self) -> dict[str, FileMark]:
        own = (path for path in self.folder.rglob("*") if path.is_file())
        paths = {path for path in own if path != self.folder / MARKER} | set(self._elsewhere)
        return {
            path.relative_to(self._root).as_posix(): FileMark(
                bytes=path.stat().st_size, sha256=file_hash(path)
            )
            for path in sorted(paths)
        }

    def _mark(self, state: Literal["running", "done"], files: dict[str, FileMark]) -> None:
        told = {"stage": self.name, "key": self.key, "options": self._options}
        self._save(Marker(**told, state=state, after=self._after, files=files))

    def _save(self, marker: Marker) -> None:
        save_json(self.folder / MARKER, marker.model_dump(mode="json"))

    def _log(self, event: str, **more: float) -> None:
        """Times go to a log of their own, so that they are no part of any artefact."""
        line = {"time": round(time.time(), 3), "stage": self.name, "event": event, **more}
        with (self._root / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")


def stage_key(name: str, version: str, told: Any, after: Mapping[str, str]) -> str:
    """The hash of all that decides a stage's results; `told` is JSON-able, or a result."""
    plain = json.dumps(
        {"stage": name, "version": version, "told": _plain(told), "after": dict(after)},
        sort_keys=True,
        allow_nan=False,
    )
    return hashlib.sha256(plain.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Path):
        return value.as_posix()
    return to_plain(value)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_marker(folder: Path) -> Marker | None:
    """The marker of a stage's folder, or None where no stage was started.

    Raises:
        CorruptArtefact: if there is one and it is damaged.
    """
    path = folder / MARKER
    try:
        if not path.is_symlink() and not path.exists():
            return None
        data = plain_file(path, limit=MAX_JSON).read_bytes()
        return TypeAdapter(Marker).validate_json(data)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise CorruptArtefact(
            f"{path} is damaged.", hint=f"Remove the folder {folder} to run its stage again."
        ) from error


def check_files(root: Path, marker: Marker) -> None:
    """Compare a finished stage's files with what they were.

    Raises:
        CorruptArtefact: naming the first file that is missing, truncated, altered, or outside.
    """
    for name, mark in marker.files.items():
        check_file(root, marker.stage, name, mark)


def check_file(root: Path, stage: str, name: str, mark: FileMark) -> None:
    """Compare one file of a finished stage with what it was; errors as `check_files`."""
    path = inside(root, name)
    if path.is_symlink():
        state = "is a link now, and links are not followed"
    elif not path.is_file():
        state = "is missing"
    elif path.stat().st_size != mark.bytes:
        state = f"has {path.stat().st_size:,} bytes where {mark.bytes:,} were written"
    elif file_hash(path) != mark.sha256:
        state = "was altered after it was written"
    else:
        return
    raise CorruptArtefact(
        f"{path} {state}.", hint=f"Remove the folder {root / stage} to run its stage again."
    )


def clear_stage(folder: Path) -> None:
    """Remove what an outdated stage left. Only a folder that a stage made is touched.

    Raises:
        RunError: if there are files in it and no marker.
    """
    if not folder.exists():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise RunError(
            f"{folder} is in the way: it is no folder.", hint="Move it, or choose another --out."
        )
    inside = [path for path in folder.iterdir() if path.name != MARKER]
    marked = (folder / MARKER).exists()
    if not marked and any(not is_leftover(path) for path in inside):
        raise RunError(
            f"{folder} holds files that no stage of a run made.",
            hint="Move them, or choose another --out.",
        )
    for path in inside:  # the marker last: a kill in between must not disown what is left
        _remove(path)
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()


def is_leftover(path: Path) -> bool:
    """Whether this is the draft (`bezoar.runs.results.draft_of`) of a process that was killed."""
    return re.fullmatch(r"\..+\.\d+\.tmp", path.name) is not None


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove those of the paths that are drafts left by a kill."""
    for path in sorted(filter(is_leftover, paths)):
        if os.path.lexists(path):  # not inside one that is gone
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
