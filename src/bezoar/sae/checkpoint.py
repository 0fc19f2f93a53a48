"""Where a training stands, on disk: safetensors and JSON, the newest whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from bezoar.errors import CorruptArtefact
from bezoar.runs.plain import MAX_JSON, plain_file
from bezoar.runs.results import atomic_write, save_json

NOTES = "checkpoint.json"
VERSION = 1
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RecursionError, SafetensorError)


class Checkpoint:
    """The latest state of a training.

    The tensors are written under the name of their step, then the notes that name them, then the
    ones before are removed: whenever it is cut off, one whole state is there.

    Args:
        folder: for this training alone.
        key: equal only for trainings that would give equal bytes.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self._key = folder, key

    def write(self, step: int, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Keep a state."""
        data = safetensors.torch.save({name: t.cpu().contiguous() for name, t in tensors.items()})
        name = f"step-{step}.safetensors"
        atomic_write(self.folder / name, data)
        mark = {"version": VERSION, "key": self._key, "step": step, "tensors": name}
        mark["sha256"] = hashlib.sha256(data).hexdigest()
        save_json(self.folder / NOTES, mark | {"notes": notes})
        for file in self.folder.glob("step-*.safetensors"):
            if file.name != name:
                file.unlink()

    def read(self) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
        """The state kept here; None if there is none, or it is of another training.

        Raises:
            CorruptArtefact: if it is damaged.
        """
        if not (self.folder / NOTES).exists() and not (self.folder / NOTES).is_symlink():
            return None
        try:
            mark = json.loads(plain_file(self.folder / NOTES, limit=MAX_JSON).read_bytes())
            if mark["key"] != self._key or mark["version"] != VERSION:
                return None
            name = f"step-{int(mark['step'])}.safetensors"
            data = plain_file(self.folder / name).read_bytes()
            if hashlib.sha256(data).hexdigest() != mark["sha256"]:
                raise ValueError(f"{name} does not have the hash that {NOTES} names")
            return int(mark["step"]), safetensors.torch.load(data), mark["notes"]
        except _UNREADABLE as error:
            raise corrupt(self.folder, error) from error

    def remove(self) -> None:
        """Forget it, once its training is finished."""
        for file in (*self.folder.glob("step-*.safetensors"), self.folder / NOTES):
            file.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def corrupt(folder: Path, error: Exception) -> CorruptArtefact:
    """The error for a checkpoint that cannot be believed."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return CorruptArtefact(
        f"{folder} cannot be read as a checkpoint: {reason}.",
        hint="Remove it to train from the beginning.",
    )
