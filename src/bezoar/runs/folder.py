"""The run: a folder that says what was asked, where it ran, and holds what each stage made.

RUN/config.yaml         the resolved configuration
RUN/environment.json    versions, platform, threads
RUN/log.jsonl           when stages started and ended
RUN/STAGE/stage.json    the stage's key, and the hash of each of its files
RUN/STAGE/…             its files
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import BaseModel

from bezoar import __version__
from bezoar.errors import ConfigError, CorruptArtefact, RunError, did_you_mean
from bezoar.interrupts import check, opened
from bezoar.runs.config import load_config, read_yaml, to_yaml
from bezoar.runs.conflicts import binding_hash, refuse_conflict
from bezoar.runs.environment import describe_environment
from bezoar.runs.faults import explained, make_folder
from bezoar.runs.locks import FolderLock
from bezoar.runs.plain import MAX_OPTIONS, plain_file
from bezoar.runs.results import atomic_write, save_json
from bezoar.runs.stages import (
    MARKER,
    Stage,
    check_files,
    clear_stage,
    is_leftover,
    read_marker,
    remove_leftovers,
    stage_key,
)
from bezoar.runs.stale import PAGES, drop_followers, drop_pages, stale_stages

CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
LOCK = ".lock"


class Run:
    """An open run folder, locked until closed.

    Example:
        >>> with Run.open("runs/demo", AuditConfig()) as run:          # doctest: +SKIP
        ...     with run.stage("harvest", key=[config.harvest, lm.fingerprint]) as stage:
        ...         if not stage.done:
        ...             harvest(lm, texts, sites, out=stage.folder)

    Attributes:
        path: the folder.
        config: what the run was asked to do.
    """

    def __init__(self, path: Path, config: BaseModel, lock: FolderLock) -> None:
        self.path = path
        self.config = config
        self._lock = lock
        self._open = True

    @classmethod
    def open(
        cls, path: str | Path, config: BaseModel, *, resume: bool = True, update: bool = False
    ) -> Run:
        """Make a run folder, or take one up again.

        Args:
            path: the folder; made if need be.
            config: the resolved configuration.
            resume: go on with what is there; False removes what the run there has made.
            update: accept another configuration: the report goes, and stages whose keys change run
                again, which removes what later ones made of them.

        Raises:
            RunConflict: if stages were begun under another configuration; the keys are listed.
            RunLocked: if another process works in it.
            RunError: if it cannot be written to, or holds something else.
            CorruptArtefact: if its own files are links or of absurd size.
        """
        path = Path(path)
        with explained(path):
            make_folder(path)
            _refuse_foreign(path)
            _refuse_links(path)
            lock = FolderLock(path / LOCK)
            lock.acquire()
            try:
                remove_leftovers(path.iterdir())
                if not resume:
                    _clear(path)
                elif (path / CONFIG).exists() and not update and any(path.glob(f"*/{MARKER}")):
                    refuse_conflict(path, path / CONFIG, config, path / ENVIRONMENT)
                elif update and _is_other(path / CONFIG, config):
                    drop_pages(path)  # they tell of the options that were
                _write_config(path, config)
                _write_environment(path)
            except BaseException:
                lock.release()
                raise
        opened(1)
        return cls(path, config, lock)

    def close(self) -> None:
        """Release the folder."""
        if self._open:
            opened(-1)
        self._open = False
        self._lock.release()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            error.add_note(self.kept())
        self.close()

    def kept(self) -> str:
        """What there is to go on from, in a sentence."""
        markers = [read_marker(path.parent) for path in sorted(self.path.glob(f"*/{MARKER}"))]
        done = [m.stage for m in markers if m is not None and m.state == "done"]
        begun = [m.stage for m in markers if m is not None and m.state == "running"]
        parts = [", ".join(done) or "nothing finished", *(f"{name} in part" for name in begun)]
        return f"Kept in {self.path}: {'; '.join(parts)}."

    def verify(self) -> list[str]:
        """As `verify_run` of this folder."""
        return verify_run(self.path)

    def folder(self, stage: str) -> Path:
        """The folder of a stage, finished or not."""
        return self.path / stage

    def finished(self) -> list[str]:
        """Names of the stages that are done, by folder name."""
        markers = (read_marker(path.parent) for path in sorted(self.path.glob(f"*/{MARKER}")))
        return [m.stage for m in markers if m is not None and m.state == "done"]

    def settled(self, name: str) -> bool:
        """Whether a stage is done, and under the options that the run has now."""
        return name in self.finished() and name not in stale_stages(self.path)

    def stage(
        self, name: str, *, key: Any = None, after: Iterable[str] = (), version: int = 1
    ) -> AbstractContextManager[Stage]:
        """A stage to run under `with`; look at `stage.done` first.

        Args:
            name: of the stage and its folder.
            key: all that decides its results: config sections, seeds, fingerprints of inputs.
            after: finished stages whose results it reads; when they change, it runs again.
            version: raised when the stage's code changes what it writes.

        Raises:
            RunError: if a stage it comes after has not finished.
        """
        check()
        keys = {before: self._key_of(name, before) for before in after}
        code = f"{__version__}/{version}"
        told = stage_key(name, code, key, keys)
        drop_followers(self.path, name, told)
        return Stage(self.path, name, told, keys, binding_hash(self.config))

    def seed(self, name: str) -> int:
        """A seed for one use, derived from the run's: uses never share a stream by accident."""
        text = f"{getattr(self.config, 'seed', 0)}/{name}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def _key_of(self, name: str, before: str) -> str:
        marker = read_marker(self.folder(before))
        if marker is None or marker.state != "done":
            raise RunError(
                f"Stage {name!r} needs {before!r}, which has not finished in {self.path}.",
                hint=f"Run 'bezoar {before}' first. {did_you_mean(before, self.finished())}",
            )
        return marker.key


def verify_run(path: str | Path) -> list[str]:
    """Compare every file of every finished stage with what it was; the stages' names.

    Raises:
        RunError: if there is no run.
        ConfigError: if its configuration is no YAML.
        CorruptArtefact: naming the first file that is missing, truncated, altered or a link, and
            the folder to remove so that its stage runs again.
    """
    path = Path(path)
    if not (path / CONFIG).is_file():
        raise RunError(
            f"{path} holds no run: there is no {CONFIG} in it.", hint="Give the folder of --out."
        )
    _refuse_links(path)
    read_yaml(path / CONFIG)
    markers = [read_marker(file.parent) for file in sorted(path.glob(f"*/{MARKER}"))]
    done = [marker for marker in markers if marker is not None and marker.state == "done"]
    for marker in done:
        check_files(path, marker)
    return [marker.stage for marker in done]


def _refuse_foreign(path: Path) -> None:
    """Never mix a run into a folder that is used for something else."""
    if (path / CONFIG).exists():
        return
    others = [e.name for e in path.iterdir() if e.name != LOCK and not is_leftover(e)]
    if others:
        raise RunError(
            f"{path} is not empty and holds no run ({others[0]!r} is in it).",
            hint="Choose another folder with --out.",
        )


def _refuse_links(path: Path) -> None:
    """What a run keeps beside its stages is read and written: it must lie where it seems to."""
    for name in (LOCK, CONFIG, ENVIRONMENT, "log.jsonl", *PAGES):
        if (path / name).exists() or (path / name).is_symlink():
            plain_file(path / name)
    if (path / CONFIG).exists():
        plain_file(path / CONFIG, limit=MAX_OPTIONS)
    for entry in path.iterdir():
        if entry.is_symlink() and (entry / MARKER).exists():
            raise CorruptArtefact(
                f"{entry} is a link out of the run's folder, and links are not followed.",
                hint=f"Move the stage's folder into {path}, or keep the whole run elsewhere.",
            )


def _write_config(path: Path, config: BaseModel) -> None:
    text = to_yaml(config, without=["out"]).encode()  # a run that is moved stays the same run
    file = path / CONFIG
    if not file.exists() or file.read_bytes() != text:
        atomic_write(file, text)


def _is_other(file: Path, config: BaseModel) -> bool:
    """Whether a run's configuration, if it has one, is another in what may change a number."""
    try:
        return file.exists() and binding_hash(load_config(file, type(config))) != binding_hash(
            config
        )
    except ConfigError:
        return True


def _write_environment(path: Path) -> None:
    """Where the run was made, and, if it was taken up elsewhere, where else."""
    file = path / ENVIRONMENT
    seen = _read_environments(file)
    here = describe_environment()
    if here not in seen:
        save_json(file, [*seen, here])


def _read_environments(file: Path) -> list[Any]:
    import json

    try:
        seen = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return []
    whole = isinstance(seen, list) and all(isinstance(each, dict) for each in seen)
    return seen if whole else []


def _clear(path: Path) -> None:
    """Remove what runs made in a folder, and nothing else."""
    for marker_path in path.glob(f"*/{MARKER}"):
        folder = marker_path.parent
        marker = read_marker(folder)
        for name in marker.files if marker is not None else ():
            inside = (path / name).resolve().is_relative_to(path.resolve())
            if inside:
                (path / name).unlink(missing_ok=True)
        clear_stage(folder)
    drop_pages(path)
    for name in ("log.jsonl", ENVIRONMENT, CONFIG):  # CONFIG last: it makes the folder ours
        (path / name).unlink(missing_ok=True)
