"""What a training takes on disk is what the forecast of a run counts, whatever is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bezoar.locate import Direction, rank_values
from bezoar.mitigate.preference import checkpoint, targets, train
from bezoar.mitigate.preference.masks import Trainable
from bezoar.studies.audit.room import _sizes
from tests.families import tiny_model
from tests.mitigate.preferences import pairs, recipe


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "mask", ["all", "values:3", "random-values:3", "biases", "late:1", "layer:4", "lora:2"]
)
def test_the_room_of_a_training_is_what_it_takes(tmp_path, monkeypatch, mask):
    if mask.startswith("lora"):
        pytest.importorskip("peft")
    lm = tiny_model("gpt2")
    most = [0]
    writing = checkpoint.write_tensors

    def write(path: Path, tensors: Any) -> Any:
        mark = writing(path, tensors)
        most[0] = max(most[0], bytes_of(tmp_path / "work"))
        return mark

    monkeypatch.setattr(checkpoint, "write_tensors", write)
    monkeypatch.setattr(targets, "write_tensors", write)
    values = rank_values(lm, Direction.of(torch.ones(lm.d_model), lm.site("-1.resid_post")), 4)
    work = tmp_path / "work"
    done = train(lm, pairs(), recipe(epochs=2), trainable=mask, values=values, out=work)
    done.edit.save(tmp_path / "edit", lm)
    free, saved = _sizes(lm, Trainable.parse(mask))
    heads = 40_000  # names, shapes and JSON
    assert abs(saved - bytes_of(tmp_path / "edit")) < 0.1 * saved + heads
    assert 0 < most[0] <= 9 * free + heads
