"""A training that is done once: its edit and its log in a folder, without what it went on from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bezoar.edits import load_edit
from bezoar.errors import CorruptArtefact, RunConflict, TrainingDiverged
from bezoar.mitigate.preference.log import Trained, TrainingLog
from bezoar.models import LanguageModel
from bezoar.runs.results import load_result, save_json, save_result

DONE = "training.json"


def trained_once(
    lm: LanguageModel,
    folder: Path,
    key: Mapping[str, Any],
    make: Callable[[Path], Trained],
) -> Trained:
    """A training from its folder; begun, or taken up where it was interrupted, if it is not there.

    Once it has ended the folder holds ``edit/``, ``log.json`` and ``training.json``, its key, which
    is written last; the checkpoint, several times as large, is removed. Of a training that left
    the finite numbers ``diverged/`` holds the best state before, with its log.

    Args:
        lm: the model.
        folder: of this training alone; made if missing.
        key: all that the training depends on, as plain data.
        make: trains, with its checkpoint in the folder that it is given.

    Raises:
        RunConflict: if the folder holds another training.
        CorruptArtefact: if what is there is damaged.
        TrainingDiverged: as ``make``.
    """
    done, checkpoint = folder / DONE, folder / "checkpoint"
    told = json.loads(json.dumps(key))
    if done.exists():
        held = _read(done)
        if held != told:
            differ = sorted(k for k in {*held, *told} if held.get(k) != told.get(k))
            raise RunConflict(
                f"{folder} holds another training: {', '.join(differ)} differ.",
                hint="Name another folder, or remove this one.",
            )
        trained = Trained(
            load_edit(folder / "edit", lm), load_result(folder / "log.json", TrainingLog)
        )
    else:
        try:
            trained = make(checkpoint)
        except TrainingDiverged as error:
            if isinstance(error.trained, Trained):
                _save(error.trained, folder / "diverged", lm)
                error.hint += f" The best state before is in {folder / 'diverged'}."
            raise
        _save(trained, folder, lm)
        save_json(done, told)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return trained


def _save(trained: Trained, folder: Path, lm: LanguageModel) -> None:
    trained.edit.save(folder / "edit", lm)
    save_result(folder / "log.json", trained.log)


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptArtefact(f"{path} is no JSON: {error}.", hint="Train again.") from error
    if not isinstance(held, dict):
        raise CorruptArtefact(f"{path} is no key of a training.", hint="Train again.")
    return held
