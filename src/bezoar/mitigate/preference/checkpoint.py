"""A training run on disk: tensors as safetensors, the rest as JSON, each whole or not there.

``state.json`` names the files that belong together, with their hashes, and is written last: a
process that is killed anywhere leaves the checkpoint before. Files that it does not name are
removed with the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bezoar.activations.manifest import FileMark, check_file, write_shard
from bezoar.errors import CorruptArtefact, RunConflict
from bezoar.mitigate.preference.processes import as_divided
from bezoar.runs.results import save_json, to_plain

FORMAT = "bezoar.training"
VERSION = 1


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> FileMark:
    """Write float32 tensors whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_shard(path, {n: t.detach().cpu().contiguous() for n, t in tensors.items()}, 0, 0)


class TensorFile(Mapping[str, Tensor]):
    """The tensors of a file, on the CPU; each is read when it is asked for, and not held.

    Raises:
        CorruptArtefact: if the file is damaged or not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with safe_open(path, framework="pt") as file:
                self._names = tuple(file.keys())
        except (SafetensorError, OSError) as error:
            raise CorruptArtefact(
                f"{path} cannot be read: {error}.", hint="Remove the folder and train again."
            ) from error

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self._path, framework="pt") as file:
            return file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that was read: tensors of the last and the best state, and plain data."""

    current: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    plain: dict[str, Any]


class Checkpoints:
    """The checkpoint of one training run in one folder.

    Args:
        folder: made if missing.
        key: all that the run depends on, as plain data; another key's folder is refused.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        self.folder = folder
        self._key = json.loads(json.dumps(key))
        self._best: tuple[str, FileMark | None] | None = None

    def best_path(self) -> Path:
        """Where the best state is."""
        assert self._best is not None
        return self.folder / self._best[0]

    def keep_best(self, step: int, tensors: Mapping[str, Tensor] | None) -> None:
        """Write the best state so far; the one before stays until `forget`.

        None where another process writes it.
        """
        name = f"best-{step}.safetensors"
        mark = None if tensors is None else write_tensors(self.folder / name, tensors)
        self._best = (name, mark)

    def save(self, step: int, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Write the last state, then the JSON that names it."""
        assert self._best is not None
        name = f"last-{step}.safetensors"
        mark = write_tensors(self.folder / name, tensors)
        files = {"current": (name, mark), "best": self._best}
        state = {
            "format": FORMAT,
            "version": VERSION,
            "key": self._key,
            "files": {k: {"name": n, **to_plain(m)} for k, (n, m) in files.items()},
            "state": plain,
        }
        save_json(self.folder / "state.json", state)
        self.forget({name, self._best[0]})

    def forget(self, keep: set[str]) -> None:
        """Remove tensor files of this run other than those."""
        for path in self.folder.glob("*.safetensors"):
            if path.name.startswith(("last-", "best-")) and path.name not in keep:
                path.unlink(missing_ok=True)

    def load(self) -> Saved | None:
        """The checkpoint that is there, or None.

        Raises:
            RunConflict: if another run's is.
            CorruptArtefact: if a file is damaged.
        """
        path = self.folder / "state.json"
        if not path.exists():
            return None
        try:
            held = json.loads(path.read_bytes())
            sound = held["format"] == FORMAT and held["version"] == VERSION
            marks = {k: (f.pop("name"), FileMark(**f)) for k, f in held["files"].items()}
            key, plain = held["key"], held["state"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path) from error
        names = {name for name, _ in marks.values()}
        if not sound or set(marks) != {"current", "best"} or any(Path(n).name != n for n in names):
            raise _damaged(path)
        if key != self._key:
            differ = sorted(k for k in {*key, *self._key} if key.get(k) != self._key.get(k))
            raise RunConflict(
                f"{self.folder} holds another training run: {', '.join(differ)} differ.",
                hint="Name another folder, or remove this one.",
            )
        for name, mark in marks.values():
            check_file(self.folder / name, mark)
        self._best = marks["best"]
        tensors = {k: TensorFile(self.folder / name) for k, (name, _) in marks.items()}
        return Saved(tensors["current"], tensors["best"], plain)


def _damaged(path: Path) -> CorruptArtefact:
    return CorruptArtefact(
        f"{path} is no checkpoint of a training run, or a damaged one.",
        hint="Remove the folder and train again.",
    )


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's memory: its tensors, divided if its parameters are, and its plain numbers."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for index, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.ndim:
                tensors[f"optimiser.{index}.{name}"] = value
            else:
                plain[f"{index}.{name}"] = float(value)
    return tensors, plain


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]
) -> None:
    """Give an optimiser its memory back, bit for bit."""
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = as_divided(value, parameters[int(index)])
    for key, number in plain.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = torch.tensor(number, dtype=torch.float32)
    held = optimiser.state_dict()
    optimiser.load_state_dict({"state": state, "param_groups": held["param_groups"]})
